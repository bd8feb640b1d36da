import { type Position, START } from '#core/kernel/position.js';
import {
  type Appending,
  type History,
  type Paging,
  type Seen,
  type StreamReading,
  type Violation,
  violationsIn,
} from './history.js';
import {
  type Appended,
  type AppendRequest,
  type EventStore,
  LedgerUnavailable,
  type Page,
  type StoredEvent,
  WrongExpectedRevision,
} from '../port.js';

/** Calls stores on behalf of a test and remembers what they answered, and when. */
export class HistoryRecorder {
  private readonly appends: Appending[] = [];
  private readonly pages: Paging[] = [];
  private readonly readings: StreamReading[] = [];

  /** `from`: where the log ends now. */
  constructor(private readonly from: Position = START) {}

  get acknowledged(): number {
    return new Set(this.appends.flatMap(({ ids, told }) => (told.kind === 'appended' ? ids : [])))
      .size;
  }

  async append(store: EventStore, request: AppendRequest): Promise<Appended> {
    const began = performance.now();
    const record = (told: Appending['told']) => {
      // What may still happen has not ended.
      const ended = told.kind === 'unknown' ? Infinity : performance.now();
      const { stream, expected, events } = request;
      this.appends.push({ stream, expected, ids: events.map(({ id }) => id), told, began, ended });
    };
    try {
      const appended = await store.append(request);
      record({ kind: 'appended', places: appended.events, repeated: appended.repeated });
      return appended;
    } catch (error) {
      if (error instanceof WrongExpectedRevision)
        record({ kind: 'conflict', actual: error.actual ?? -1 });
      else if (error instanceof LedgerUnavailable) record({ kind: 'refused' });
      else record({ kind: 'unknown' });
      throw error;
    }
  }

  async page(store: EventStore, after: Position, limit: number): Promise<Page> {
    const began = performance.now();
    const page = await store.readAll(after, { limit });
    const toEnd = page.events.length < limit;
    const events = page.events.map(seen);
    const { scannedTo } = page;
    this.pages.push({ began, ended: performance.now(), after, events, scannedTo, toEnd });
    return page;
  }

  async read(store: EventStore, stream: StoredEvent['stream']): Promise<readonly StoredEvent[]> {
    const began = performance.now();
    const events = await store.read(stream);
    const ids = events.map(({ bytes }) => idIn(bytes));
    this.readings.push({ stream, ids, began, ended: performance.now() });
    return events;
  }

  /** Once nobody writes any more: what of all that can not be of one log. */
  async violations(store: EventStore, gapless: boolean): Promise<readonly Violation[]> {
    const log: Seen[] = [];
    for (let after = this.from; ;) {
      const { events, scannedTo } = await store.readAll(after, { limit: 1_000 });
      log.push(...events.map(seen));
      if (events.length < 1_000) break;
      after = scannedTo;
    }
    const { appends, pages, readings, from } = this;
    const history: History = { appends, pages, readings, log, from, gapless };
    return violationsIn(history);
  }
}

function seen({ stream, position, revision, bytes }: StoredEvent): Seen {
  return { stream, position, revision, id: idIn(bytes) };
}

function idIn(bytes: Uint8Array): string {
  return (JSON.parse(Buffer.from(bytes).toString('utf8')) as { id: string }).id;
}
