import type { StreamName } from '#core/kernel/ids.js';
import { type Clock, type Instant, systemClock } from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { checkRequest } from '../check-request.js';
import { placedIn } from '../content.js';
import { followLog, type PageAndEnd } from '../follow-log.js';
import { inTime } from '../in-time.js';
import {
  type Appended,
  type AppendRequest,
  type EventStore,
  type Head,
  LedgerCorrupt,
  LedgerUnavailable,
  type Page,
  type ReadAllOptions,
  type ReadOptions,
  type StoredEvent,
} from '../port.js';
import type { TimeMarks } from '../time-marks.js';
import { WakeUp } from '../wake-up.js';
import { Appends } from './append.js';
import { Connection } from './connection.js';
import { KnownIds } from './known-ids.js';
import { LedgerTime } from './ledger-time.js';
import { Reading } from './reading.js';
import { SeenStreams } from './seen-streams.js';
import { Tail } from './tail.js';

/** All times in milliseconds. */
export interface KurrentLedgerOptions {
  /** `esdb://` or `esdb+discover://`. */
  readonly connectionString: string;
  /** What the names of our streams begin with: others may live on the same server. */
  readonly streamPrefix: string;
  /** Where the time at some places of the log is kept. */
  readonly timeMarks: TimeMarks;
  readonly clock?: Clock;
  /** Every append has an answer after this. Default 10,000. */
  readonly appendDeadline?: number;
  /** Every read of a stream or of a page. Default 5,000. */
  readonly readDeadline?: number;
  /** One try of either, after which another connection is made. Default 2,500. */
  readonly patience?: number;
  /** How long a subscription that says nothing may go unnoticed. Default 500. */
  readonly pollEvery?: number;
}

/** The log on KurrentDB, or EventStoreDB as it was called until 2024. */
export class KurrentLedger implements EventStore {
  private readonly connection: Connection;
  private readonly known = new KnownIds();
  private readonly seen = new SeenStreams();
  private readonly reading: Reading;
  private readonly appends: Appends;
  private readonly tail: Tail;
  private readonly time: LedgerTime;
  private readonly wakeUp = new WakeUp();
  private readonly pollEvery: number;
  private readonly readDeadline: number;
  private readonly keepingMarks: Promise<void>;

  /** @throws BadConnectionString */
  constructor(options: KurrentLedgerOptions) {
    const { streamPrefix, timeMarks, clock = systemClock } = options;
    this.pollEvery = options.pollEvery ?? 500;
    this.readDeadline = options.readDeadline ?? 5_000;
    this.connection = new Connection(options.connectionString, options.patience ?? 2_500);
    this.time = new LedgerTime(this, timeMarks);
    this.reading = new Reading(this.connection, streamPrefix, this.readDeadline, (position) =>
      this.time.startBefore(position),
    );
    const deadline = options.appendDeadline ?? 10_000;
    const { connection, reading, known, seen } = this;
    this.appends = new Appends(connection, reading, known, seen, streamPrefix, deadline, clock);
    this.tail = new Tail(
      connection,
      streamPrefix,
      () => reading.head(),
      () => this.wakeUp.all(),
    );
    this.keepingMarks = this.time.keepMarks(connection.closing);
  }

  /**
   * The server's version, `24.10.14`.
   * @throws ServerTooOld, LedgerUnavailable
   */
  async serverVersion(): Promise<string> {
    return this.connection.persist(this.readDeadline, () => this.connection.version());
  }

  async append(request: AppendRequest): Promise<Appended> {
    checkRequest(request);
    this.mustBeOpen();
    return this.appends.append(request);
  }

  async read(
    stream: StreamName,
    { fromRevision = 0, limit }: ReadOptions = {},
  ): Promise<readonly StoredEvent[]> {
    const events = await this.reading.stream(stream, fromRevision, { limit });
    this.known.note(stream, events);
    this.noteSeen(events);
    return events;
  }

  remembered(stream: StreamName): readonly StoredEvent[] {
    const events = this.seen.all(stream);
    // Else the append would read the stream for the ids that it holds.
    this.known.note(stream, events);
    return events;
  }

  async readMany(
    streams: readonly StreamName[],
    { upTo }: { upTo?: Position } = {},
  ): Promise<ReadonlyMap<StreamName, readonly StoredEvent[]>> {
    const seen = new Map<StreamName, StoredEvent[]>();
    for (const stream of streams) {
      const events = upTo === undefined ? undefined : this.seen.upTo(stream, upTo);
      if (events) seen.set(stream, events);
    }
    const unseen = streams.filter((stream) => !seen.has(stream));
    const read = await this.reading.streams(unseen, upTo);
    for (const events of read.values()) this.noteSeen(events);
    return new Map([...seen, ...read]);
  }

  async readAll(after: Position, options: ReadAllOptions): Promise<Page> {
    const { events, scannedTo } = await this.inTime(this.readPage(after, options));
    this.seen.note(events, scannedTo);
    return { events, scannedTo };
  }

  follow(after: Position, options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Page> {
    return followLog(
      {
        readPage: async (from, options) => {
          const page =
            this.tail.page(from, options) ?? (await this.inTime(this.readPage(from, options)));
          this.seen.note(page.events, page.scannedTo);
          return page;
        },
        wakeUp: this.wakeUp,
        pollEvery: this.pollEvery,
        pause: 25,
        longestPause: 100,
        isClosed: () => this.connection.closed,
      },
      after,
      options,
    );
  }

  async head(): Promise<Head | undefined> {
    const last = await this.inTime(this.reading.head());
    if (!last) return undefined;
    const placed = placedIn(last.bytes);
    if (!placed) throw new LedgerCorrupt(last.position, 'is no event of a ledger');
    const { id, recordedAt } = placed;
    const { latest } = this.time;
    return { position: last.position, id, recordedAt: latest > recordedAt ? latest : recordedAt };
  }

  async at(position: Position): Promise<StoredEvent | undefined> {
    return this.reading.at(position);
  }

  async positionAt(instant: Instant): Promise<Position> {
    return this.inTime(this.time.positionAt(instant));
  }

  async close(): Promise<void> {
    this.connection.close();
    this.wakeUp.all();
    // Where marks are kept may be away.
    const ended = Promise.all([this.tail.close(), this.keepingMarks]);
    await this.inTime(ended).catch(() => undefined);
  }

  private async readPage(after: Position, options: ReadAllOptions): Promise<PageAndEnd> {
    const seenTo = this.seen.to;
    const head = await this.reading.head();
    const end = head?.position ?? START;
    // The log has lost what was seen of it: nothing that was seen counts.
    if (comparePositions(seenTo, end) > 0) this.seen.clear();
    if (!head) return { events: [], scannedTo: after, end };
    this.tail.expect(end);
    if (comparePositions(after, end) >= 0) return { events: [], scannedTo: after, end };
    return this.tail.page(after, options, end) ?? (await this.reading.page(after, options, head));
  }

  /** Of one stream, as far as they were read. */
  private noteSeen(events: readonly StoredEvent[]): void {
    const last = events.at(-1);
    if (last) this.seen.note(events, last.position);
  }

  /** What takes several reads, one after the other, has one deadline all the same, which a long search moves on. */
  private inTime<T>(reading: Promise<T>): Promise<T> {
    const { readDeadline } = this;
    const late = () => new LedgerUnavailable(`no answer within ${readDeadline} ms`);
    return inTime(reading, readDeadline, late, () => this.reading.movedAt);
  }

  private mustBeOpen(): void {
    if (this.connection.closed) throw new LedgerUnavailable('the ledger is closed');
  }
}
