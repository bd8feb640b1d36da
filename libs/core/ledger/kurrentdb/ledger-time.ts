import { setTimeout as sleep } from 'node:timers/promises';
import { BEGINNING, type Instant } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import { placedIn } from '../content.js';
import type { Page, ReadAllOptions, StoredEvent } from '../port.js';
import type { TimeMarks } from '../time-marks.js';

/** Events between two marks: what is read to find a time is at most this, and what came since the last mark. */
const MARK_EVERY = 1_000;

/** Between tries while marks can not be kept, in milliseconds. */
const RETRY_AFTER = 1_000;

/** What the ledger's time is found by. */
export interface TimedLog {
  readAll(after: Position, options: ReadAllOptions): Promise<Page>;
  follow(after: Position, options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Page>;
  at(position: Position): Promise<StoredEvent | undefined>;
}

/**
 * The ledger's time: writers stamp events by clocks of their own, and the order is the server's, so it is
 * the latest time along the log. The server finds no event by its time; marks say where to begin.
 */
export class LedgerTime {
  /** The latest time of what was seen so far. */
  latest: Instant = BEGINNING;
  private proving: Promise<void> | undefined;

  constructor(
    private readonly log: TimedLog,
    private readonly marks: TimeMarks,
  ) {}

  /** The last position before the first event that was recorded later than `instant`. */
  async positionAt(instant: Instant): Promise<Position> {
    await this.proven();
    let position = (await this.marks.atTime(instant))?.position ?? START;
    for (;;) {
      const { events } = await this.log.readAll(position, { limit: MARK_EVERY });
      for (const event of events) {
        if (timeOf(event) > instant) return position;
        position = event.position;
      }
      if (events.length < MARK_EVERY) return position;
    }
  }

  /** The position of an event at or before `position`, as near as is known; START where none is. */
  async startBefore(position: Position): Promise<Position> {
    await this.proven();
    return (await this.marks.atPosition(position))?.position ?? START;
  }

  /** Sets marks along the log as it grows, until `signal` aborts. */
  async keepMarks(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.follow(signal);
      } catch {
        // Without new marks a time takes longer to find, and is found all the same.
        await sleep(RETRY_AFTER, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async follow(signal: AbortSignal): Promise<void> {
    await this.proven();
    const last = await this.marks.last();
    let time = last?.time ?? BEGINNING;
    let since = 0;
    const options = { limit: MARK_EVERY, signal };
    for await (const { events } of this.log.follow(last?.position ?? START, options))
      for (const event of events) {
        const here = timeOf(event);
        if (here > time) time = here;
        if (time > this.latest) this.latest = time;
        const eventId = placedIn(event.bytes)?.id;
        if (++since < MARK_EVERY || eventId === undefined) continue;
        await this.marks.add({ position: event.position, eventId, time });
        since = 0;
      }
  }

  /** Marks of a log that is not this one are of no use. */
  private proven(): Promise<void> {
    this.proving ??= this.prove().catch((error: unknown) => {
      this.proving = undefined;
      throw error;
    });
    return this.proving;
  }

  private async prove(): Promise<void> {
    const last = await this.marks.last();
    const there = last && (await this.log.at(last.position));
    if (last && !(there && placedIn(there.bytes)?.id === last.eventId)) await this.marks.clear();
  }
}

/** Bytes that hold no time move it nowhere. */
function timeOf({ bytes }: StoredEvent): Instant {
  return placedIn(bytes)?.recordedAt ?? BEGINNING;
}
