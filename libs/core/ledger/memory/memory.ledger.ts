import type { StreamName } from '#core/kernel/ids.js';
import { categoryOf } from '#core/kernel/ids.js';
import { type Clock, type Instant, systemClock } from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { checkRequest } from '../check-request.js';
import { placedIn } from '../content.js';
import { NotNext, type StoredEvents } from '../copying.js';
import { followLog, type PageAndEnd } from '../follow-log.js';
import {
  type Appended,
  type AppendRequest,
  type EventStore,
  type Head,
  LedgerCorrupt,
  LedgerUnavailable,
  type NewEvent,
  type Page,
  type ReadAllOptions,
  type ReadOptions,
  type StoredEvent,
  WrongExpectedRevision,
} from '../port.js';
import { isAsExpected, repetitionOf } from '../repetition.js';
import { WakeUp } from '../wake-up.js';

interface Kept extends StoredEvent {
  readonly id: NewEvent['id'];
  readonly digest: Buffer;
  readonly recordedAt: Instant;
}

/** The log in memory: for tests, with a clock of their own, and for as long as the process lives. */
export class MemoryLedger implements EventStore {
  private readonly log: Kept[] = [];
  private readonly streams = new Map<StreamName, Kept[]>();
  private readonly byId = new Map<string, Kept>();
  private readonly wakeUp = new WakeUp();
  private closed = false;

  constructor(private readonly clock: Clock = systemClock) {}

  async append(request: AppendRequest): Promise<Appended> {
    await this.open();
    checkRequest(request);
    const { stream, expected, events } = request;
    const kept = this.streams.get(stream) ?? [];
    const twins = events.map(({ id }) => this.byId.get(`${stream} ${id}`));
    const repetition = repetitionOf(request, twins);
    if (repetition) return appended(repetition, true);
    if (!isAsExpected(expected, kept.at(-1)?.revision))
      throw new WrongExpectedRevision(stream, expected, kept.at(-1)?.revision);

    const recordedAt = this.notBeforeLast(this.clock.now());
    const written = events.map((event, index): Kept => {
      const revision = kept.length + index;
      return {
        stream,
        revision,
        position: String(this.log.length + index + 1) as Position,
        bytes: event.content.at(recordedAt, revision),
        id: event.id,
        digest: event.content.digest,
        recordedAt,
      };
    });
    this.keep(written);
    this.wakeUp.all();
    return appended(written, false);
  }

  async read(
    stream: StreamName,
    { fromRevision = 0, limit = Infinity }: ReadOptions = {},
  ): Promise<readonly StoredEvent[]> {
    await this.open();
    const events = this.streams.get(stream) ?? [];
    return events.slice(fromRevision, fromRevision + limit).map(copy);
  }

  async readMany(
    streams: readonly StreamName[],
    { upTo }: { upTo?: Position } = {},
  ): Promise<ReadonlyMap<StreamName, readonly StoredEvent[]>> {
    await this.open();
    const found = new Map<StreamName, readonly StoredEvent[]>();
    for (const stream of streams) {
      const events = (this.streams.get(stream) ?? []).filter(
        ({ position }) => upTo === undefined || comparePositions(position, upTo) <= 0,
      );
      found.set(stream, events.map(copy));
    }
    return found;
  }

  async readAll(after: Position, options: ReadAllOptions): Promise<Page> {
    const { events, scannedTo } = await this.readPage(after, options);
    return { events, scannedTo };
  }

  follow(after: Position, options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Page> {
    return followLog(
      {
        readPage: this.readPage.bind(this),
        wakeUp: this.wakeUp,
        pollEvery: 500,
        pause: 0,
        isClosed: () => this.closed,
      },
      after,
      options,
    );
  }

  async head(): Promise<Head | undefined> {
    await this.open();
    const last = this.log.at(-1);
    return last && { position: last.position, id: last.id, recordedAt: last.recordedAt };
  }

  async at(position: Position): Promise<StoredEvent | undefined> {
    await this.open();
    const found = this.log[Number(position) - 1];
    return found && copy(found);
  }

  async positionAt(instant: Instant): Promise<Position> {
    await this.open();
    return this.log.findLast(({ recordedAt }) => recordedAt <= instant)?.position ?? START;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wakeUp.all();
  }

  /** What events of another store are taken over through. */
  storedEvents(): StoredEvents {
    return {
      append: async (events) => {
        await this.open();
        for (const event of events) this.takeOver(event);
        this.wakeUp.all();
      },
      close: () => Promise.resolve(),
    };
  }

  private takeOver(event: StoredEvent): void {
    const { stream, revision, bytes } = event;
    const placed = placedIn(bytes);
    if (placed === undefined) throw new LedgerCorrupt(event.position, 'is no event');
    const kept = this.streams.get(stream) ?? [];
    if (revision !== kept.length) throw new NotNext(event, kept.at(-1)?.revision);
    const { id } = placed;
    const position = String(this.log.length + 1) as Position;
    const recordedAt = this.notBeforeLast(placed.recordedAt);
    this.keep([{ stream, revision, position, bytes, id, digest: placed.digest(), recordedAt }]);
  }

  private keep(events: readonly Kept[]): void {
    for (const event of events) {
      const kept = this.streams.get(event.stream) ?? [];
      this.streams.set(event.stream, kept);
      kept.push(event);
      this.log.push(event);
      this.byId.set(`${event.stream} ${event.id}`, event);
    }
  }

  /** Nothing is answered in the same turn of the event loop: no other store could either. */
  private async open(): Promise<void> {
    await new Promise(setImmediate);
    if (this.closed) throw new LedgerUnavailable('the ledger is closed');
  }

  private async readPage(
    after: Position,
    { limit, categories }: ReadAllOptions,
  ): Promise<PageAndEnd> {
    await this.open();
    const end = this.log.at(-1)?.position ?? START;
    const events: StoredEvent[] = [];
    let scannedTo = after;
    for (const event of this.log.slice(Number(after))) {
      if (events.length >= limit) break;
      scannedTo = event.position;
      if (!categories || categories.includes(categoryOf(event.stream))) events.push(copy(event));
    }
    return { events, scannedTo, end };
  }

  private notBeforeLast(instant: Instant): Instant {
    const last = this.log.at(-1)?.recordedAt;
    return last !== undefined && last > instant ? last : instant;
  }
}

function appended(events: readonly Kept[], repeated: boolean): Appended {
  const { revision, position, recordedAt } = events.at(-1) as Kept;
  const places = events.map((event) => ({ revision: event.revision, position: event.position }));
  return { revision, position, recordedAt, events: places, repeated };
}

/** What is stored can not be changed through what was read. */
function copy({ stream, revision, position, bytes }: Kept): StoredEvent {
  return { stream, revision, position, bytes: Uint8Array.from(bytes) };
}
