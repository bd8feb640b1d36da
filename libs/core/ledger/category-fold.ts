import type { Event, Recorded } from '#core/kernel/event.js';
import { evolve, type Model } from '#core/kernel/model.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';

const PAGE = 1_000;

/** The part of the ledger that a fold over whole categories reads. */
export interface CategoryReader {
  readAll(
    after: Position,
    options: { limit: number; categories: readonly string[] },
  ): Promise<{ readonly events: readonly Recorded[]; readonly scannedTo: Position }>;
}

/**
 * All events of a few small categories, folded and kept in memory as of each of them: the catalogue and
 * the API keys, a few hundred events in a ledger of any size. What commands check against is as of the
 * head, so every question first reads what came since the last one; questions that arrive together share
 * one reading, which begins after they do.
 */
export class CategoryFold<State, E extends Event> {
  private readonly states: { readonly position: Position; readonly state: State }[] = [];
  private scannedTo: Position = START;
  private readAt = -Infinity;
  private running: Promise<void> = Promise.resolve();
  private next?: Promise<void>;

  constructor(
    private readonly ledger: CategoryReader,
    private readonly model: Model<State, E>,
    private readonly categories: readonly string[],
  ) {}

  /** As of the log's head at the time of the call, or up to `maxAge` milliseconds before it. */
  async atHead(maxAge = 0): Promise<{ readonly state: State; readonly position: Position }> {
    if (performance.now() - this.readAt >= maxAge) await this.refresh();
    return { state: this.states.at(-1)?.state ?? this.model.initial, position: this.scannedTo };
  }

  /** As the ledger knew it at `position`. */
  async at(position: Position): Promise<State> {
    if (comparePositions(position, this.scannedTo) > 0) await this.refresh();
    const known = this.states.findLast((entry) => comparePositions(entry.position, position) <= 0);
    return known?.state ?? this.model.initial;
  }

  private refresh(): Promise<void> {
    this.next ??= this.running.then(() => {
      this.next = undefined;
      const reading = this.readOn();
      this.running = reading.catch(() => undefined);
      return reading;
    });
    return this.next;
  }

  private async readOn(): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      const page = await this.ledger.readAll(this.scannedTo, {
        limit: PAGE,
        categories: this.categories,
      });
      for (const event of page.events) {
        const state = evolve(this.model, this.states.at(-1)?.state ?? this.model.initial, event);
        this.states.push({ position: event.position, state });
      }
      this.scannedTo = page.scannedTo;
      if (page.events.length < PAGE) break;
    }
    this.readAt = startedAt;
  }
}
