import { type Position, START } from '#core/kernel/position.js';
import { readCheckpoints } from '#core/projector/checkpoint.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { projections } from '#domains/slices.js';
import { atTheEnd, type End } from './at-the-end.js';
import type { ReadModelFindings } from './read-model-check.js';

const PAGE = 2_000;

/** How many events each read model has applied in all, up to a position. */
export interface Applied {
  readonly upTo: Position;
  readonly counts: ReadonlyMap<string, number>;
}

/** At a moment at which nothing is recorded. */
export async function countApplied(runtime: Runtime): Promise<Applied & Pick<End, 'finding'>> {
  const names = projections().map(({ name }) => name);
  const { position, finding } = await atTheEnd(runtime);
  const checkpoints = await readCheckpoints(runtime.database, { names });
  return {
    upTo: position ?? START,
    counts: new Map(names.map((name) => [name, checkpoints.get(name)?.applied ?? 0])),
    finding,
  };
}

/**
 * What each read model has applied since then, against the events that there were for it: who writes after having lost
 * its partition applies again what their new owner has applied, even where the rows come out the same.
 */
export async function checkApplied(runtime: Runtime, before: Applied): Promise<ReadModelFindings> {
  const after = await countApplied(runtime);
  if (after.finding !== undefined) return { skipped: 0, doubled: 0, findings: [after.finding] };
  let [skipped, doubled] = [0, 0];
  for (const projection of projections()) {
    const { name, categories } = projection;
    let expected = 0;
    for (let from = before.upTo; ;) {
      const page = await runtime.ledger.readAll(from, { categories, limit: PAGE });
      expected += page.events.filter((event) => projection.concerns?.(event) ?? true).length;
      if (page.scannedTo === from) break;
      from = page.scannedTo;
    }
    const applied = (after.counts.get(name) ?? 0) - (before.counts.get(name) ?? 0);
    skipped += Math.max(0, expected - applied);
    doubled += Math.max(0, applied - expected);
  }
  return { skipped, doubled, findings: [] };
}
