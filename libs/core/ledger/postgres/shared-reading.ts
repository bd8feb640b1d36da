import { comparePositions, laterOf, type Position, START } from '#core/kernel/position.js';
import type { PageAndEnd } from '../follow-log.js';
import { NewestEvents } from '../newest-events.js';
import type { ReadAllOptions } from '../port.js';

/** Events of one reading: what many small commits leave within the pause of those who follow. */
const LIMIT = 1_000;

/**
 * One reading of the log's end for all who follow it in this process: whoever comes first reads what is new,
 * of all categories, and the others find it in memory. Those who are behind what is kept read for themselves.
 */
export class SharedReading {
  private readonly newest = new NewestEvents();
  private end: Position = START;
  private underway: Promise<void> | undefined;

  constructor(
    private readonly readPage: (after: Position, options: ReadAllOptions) => Promise<PageAndEnd>,
  ) {}

  /** A page for `follow`: where it is empty, the log ended at `end` at some moment since the call. */
  async page(after: Position, options: ReadAllOptions): Promise<PageAndEnd> {
    if (this.isAtEnd(after)) {
      // It may have begun before that which its caller was woken for was recorded.
      await this.underway;
      if (this.isAtEnd(after)) await (this.underway ??= this.readOn());
    }
    const kept = this.newest.page(after, options);
    if (kept) return { ...kept, end: laterOf(this.end, kept.scannedTo) };
    const page = await this.readPage(after, options);
    if (page.scannedTo === page.end && comparePositions(page.end, this.newest.to) > 0)
      this.newest.begin(page.end);
    return page;
  }

  private isAtEnd(position: Position): boolean {
    return this.newest.begun && position === this.newest.to;
  }

  private async readOn(): Promise<void> {
    try {
      const { events, end } = await this.readPage(this.newest.to, { limit: LIMIT });
      // Another log has taken this one's place: what was read of it is worth nothing.
      if (comparePositions(end, this.newest.to) < 0) return this.newest.forget();
      for (const event of events) this.newest.add(event);
      this.end = end;
    } finally {
      this.underway = undefined;
    }
  }
}
