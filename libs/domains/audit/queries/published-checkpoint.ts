import { invalid, Refused } from '#core/kernel/refused.js';
import type { ProvenLog } from '#core/proof/proven-log.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';

/** The checkpoint of that size, which came from `pointer` in the body; without a size the newest. */
export async function publishedCheckpoint(
  log: ProvenLog,
  size: number | undefined,
  pointer: string,
): Promise<PublishedCheckpoint> {
  const checkpoint = size === undefined ? await log.newest() : await log.ofSize(size);
  if (checkpoint !== undefined) return checkpoint;
  if (size === undefined) throw notSealedYet('Nothing is sealed yet.');
  throw invalid({
    pointer,
    code: 'unknown-checkpoint',
    detail: 'no checkpoint of this size was published',
  });
}

/** A checkpoint will cover it within seconds, where a process seals. */
export function notSealedYet(detail: string): Refused {
  return new Refused(
    'unavailable',
    'not-sealed-yet',
    `${detail} Is a process with the role sealer running?`,
  );
}
