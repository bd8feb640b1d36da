import type { StreamName } from '#core/kernel/ids.js';
import { categoryOf } from '#core/kernel/ids.js';
import { type Clock, type Instant, systemClock } from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { checkRequest } from '../check-request.js';
import { followLog, type PageAndEnd } from '../follow-log.js';
import {
  type Appended,
  type AppendRequest,
  type EventStore,
  type Head,
  LedgerUnavailable,
  type NewEvent,
  type Page,
  type ReadAllOptions,
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

    const recordedAt = this.stamp();
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
    this.log.push(...written);
    this.streams.set(stream, kept);
    kept.push(...written);
    for (const event of written) this.byId.set(`${stream} ${event.id}`, event);
    this.wakeUp.all();
    return appended(written, false);
  }

  async read(
    stream: StreamName,
    { fromRevision = 0 }: { fromRevision?: number } = {},
  ): Promise<readonly StoredEvent[]> {
    await this.open();
    return (this.streams.get(stream) ?? []).slice(fromRevision).map(copy);
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

  private stamp(): Instant {
    const [now, last] = [this.clock.now(), this.log.at(-1)?.recordedAt];
    return last !== undefined && last > now ? last : now;
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
