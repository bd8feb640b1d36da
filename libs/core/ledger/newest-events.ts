import { categoryOf } from '#core/kernel/ids.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import type { Page, ReadAllOptions, StoredEvent } from './port.js';

/** So much is kept at most. */
const [MOST_EVENTS, MOST_BYTES] = [4_000, 8 << 20];

/**
 * The newest events of a log in memory, without a gap, for all in a process who follow it at its end. Who is
 * further behind reads the log. A slow reader costs nothing here.
 */
export class NewestEvents {
  private readonly events: StoredEvent[] = [];
  private bytes = 0;
  /** Everything after `from`, up to and including `last`, is kept; undefined before it was begun. */
  private from: Position | undefined;
  private last: Position = START;

  get begun(): boolean {
    return this.from !== undefined;
  }

  /** Where what is kept ends. */
  get to(): Position {
    return this.last;
  }

  /** Keeps what comes after `position`, and nothing of before. */
  begin(position: Position): void {
    this.forget();
    this.from = this.last = position;
  }

  forget(): void {
    this.events.length = this.bytes = 0;
    this.from = undefined;
    this.last = START;
  }

  /** False where it is not new. MUST be called with each event of the log, in order. */
  add(event: StoredEvent): boolean {
    if (comparePositions(event.position, this.last) <= 0) return false;
    this.events.push(event);
    this.bytes += event.bytes.length;
    this.last = event.position;
    // Half at a time, so that taking from the front costs little.
    if (this.events.length > MOST_EVENTS || this.bytes > MOST_BYTES)
      for (const dropped of this.events.splice(0, Math.ceil(this.events.length / 2))) {
        this.bytes -= dropped.bytes.length;
        this.from = dropped.position;
      }
    return true;
  }

  /** What is kept after `after`, as a page; undefined where it is not known what lies between. */
  page(after: Position, { limit, categories }: ReadAllOptions): Page | undefined {
    const { from, last, events } = this;
    if (from === undefined) return undefined;
    if (comparePositions(after, from) < 0 || comparePositions(after, last) > 0) return undefined;
    const found: StoredEvent[] = [];
    for (let index = this.indexAfter(after); index < events.length; index++) {
      const event = events[index] as StoredEvent;
      if (categories && !categories.includes(categoryOf(event.stream))) continue;
      found.push(event);
      if (found.length === limit) return { events: found, scannedTo: event.position };
    }
    return { events: found, scannedTo: last };
  }

  private indexAfter(after: Position): number {
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comparePositions((this.events[middle] as StoredEvent).position, after) > 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
