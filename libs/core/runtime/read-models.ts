import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import type { ReadModels } from '#core/platform/read-models.js';
import type { ProjectionStatus, Projector } from '#core/projector/projector.js';

/** Milliseconds that a read waits for a read model. */
const PATIENCE = 2_000;
/** Seconds that a read model may be behind before its answers are none. */
const STALE_AFTER = 10;
/** Milliseconds for which a look at how far everything has come is good enough to tell staleness. */
const LOOK_AGAIN_AFTER = 500;

/** What reads know of the read models, asked of the projector. */
export class ProjectedReadModels implements ReadModels {
  private seenAt = -Infinity;
  private seen: Promise<readonly ProjectionStatus[]> = Promise.resolve([]);

  constructor(
    private readonly projector: Projector,
    /** Those that serve decisions and subjects. */
    private readonly serving: readonly string[],
    /** Where a position from before the log was moved lies now. */
    private readonly locate: (position: Position) => Promise<Position>,
  ) {}

  async waitFor(
    position: Position,
    names: readonly string[],
    streams?: readonly StreamName[],
  ): Promise<void> {
    const now = await this.locate(position);
    if (await this.projector.waitFor(now, names, { timeoutMs: PATIENCE, streams })) return;
    throw new Refused(
      'unavailable',
      'projection-lagging',
      'the read model has not come that far yet',
      {
        evidence: { retryAfter: 1 },
      },
    );
  }

  async mustBeFresh(names: readonly string[], streams?: readonly StreamName[]): Promise<void> {
    const now = performance.now();
    if (now - this.seenAt > LOOK_AGAIN_AFTER) {
      this.seenAt = now;
      this.seen = this.projector.status();
      // A failed look is no look: the next question asks again.
      this.seen.catch(() => (this.seenAt = -Infinity));
    }
    for (const { name, partition } of names.flatMap((one) => this.projector.placesOf(one, streams)))
      if (!isFresh((await this.seen).find((one) => one.name === name)?.partitions[partition]))
        throw new Refused(
          'unavailable',
          'read-model-stale',
          'the read model is behind; it does not guess',
          {
            evidence: { retryAfter: 5, readModel: name },
          },
        );
  }

  async visible(position: Position): Promise<boolean> {
    return this.projector.waitFor(await this.locate(position), this.serving, { timeoutMs: 0 });
  }
}

function isFresh(part: ProjectionStatus['partitions'][number] | undefined): boolean {
  return part?.status === 'running' && part.laggingSeconds <= STALE_AFTER;
}
