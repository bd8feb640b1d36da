import type { Recorded } from '#core/kernel/event.js';
import type { Position } from '#core/kernel/position.js';
import type { StoredEvent } from './port.js';

/** Twice as many are kept at most. */
const KEPT = 2_048;

interface Entry {
  readonly bytes: Uint8Array;
  readonly event: Recorded;
}

/**
 * Whatever follows the log in this process reads the same events within moments of each other: each is
 * decoded once. What lies at a position is compared byte by byte, so that a log which was exchanged
 * meanwhile gives nothing that was not read from it now.
 */
export class RecentEvents {
  private newer = new Map<Position, Entry>();
  private older = new Map<Position, Entry>();

  of({ position, bytes }: StoredEvent, decode: () => Recorded): Recorded {
    const known = this.newer.get(position) ?? this.older.get(position);
    if (known && (known.bytes === bytes || Buffer.compare(known.bytes, bytes) === 0))
      return known.event;
    const event = decode();
    this.newer.set(position, { bytes, event });
    if (this.newer.size === KEPT) [this.newer, this.older] = [new Map(), this.newer];
    return event;
  }
}
