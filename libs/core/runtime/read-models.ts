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
  ) {}

  async waitFor(position: Position, names: readonly string[]): Promise<void> {
    if (await this.projector.waitFor(position, names, { timeoutMs: PATIENCE })) return;
    throw new Refused(
      'unavailable',
      'projection-lagging',
      'the read model has not come that far yet',
      {
        evidence: { retryAfter: 1 },
      },
    );
  }

  async mustBeFresh(names: readonly string[]): Promise<void> {
    const now = performance.now();
    if (now - this.seenAt > LOOK_AGAIN_AFTER) {
      this.seenAt = now;
      this.seen = this.projector.status();
      // A failed look is no look: the next question asks again.
      this.seen.catch(() => (this.seenAt = -Infinity));
    }
    for (const { name, status, laggingSeconds } of await this.seen)
      if (names.includes(name) && (status !== 'running' || laggingSeconds > STALE_AFTER))
        throw new Refused(
          'unavailable',
          'read-model-stale',
          'the read model is behind; it does not guess',
          {
            evidence: { retryAfter: 5, readModel: name },
          },
        );
  }

  visible(position: Position): Promise<boolean> {
    return this.projector.waitFor(position, this.serving, { timeoutMs: 0 });
  }
}
