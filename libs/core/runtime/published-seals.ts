import { comparePositions, type Position, START } from '#core/kernel/position.js';
import type { Seal } from '#core/kernel/seal.js';
import type { Seals } from '#core/platform/seals.js';
import { base64 } from '#core/proof/encoding.js';
import type { ProvenLog } from '#core/proof/proven-log.js';

/** Milliseconds for which a look at the newest checkpoint is good enough to say that it covers no more. */
const LOOK_AGAIN_AFTER = 500;

/**
 * What receipts know of the proof. What was recorded this moment is in no checkpoint: to say so, nobody
 * has to be asked each time.
 */
export class PublishedSeals implements Seals {
  private lookedAt = -Infinity;
  private sealedTo = START;

  constructor(private readonly log: ProvenLog) {}

  async of(position: Position): Promise<Seal | undefined> {
    if (comparePositions(position, this.sealedTo) > 0) await this.look();
    if (comparePositions(position, this.sealedTo) > 0) return undefined;
    const checkpoint = await this.log.covering(position);
    if (checkpoint === undefined) return undefined;
    const { origin, size, root } = checkpoint;
    return { origin, size, root: base64(root) };
  }

  private async look(): Promise<void> {
    const now = performance.now();
    if (now - this.lookedAt < LOOK_AGAIN_AFTER) return;
    this.lookedAt = now;
    this.sealedTo = (await this.log.newest())?.position ?? START;
  }
}
