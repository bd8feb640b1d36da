import type pg from 'pg';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import {
  comparePositions,
  earlierOf,
  laterOf,
  parsePosition,
  type Position,
  START,
} from '#core/kernel/position.js';
import { checkRequest } from '../check-request.js';
import { followLog, type PageAndEnd } from '../follow-log.js';
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
import { WakeUp } from '../wake-up.js';
import { AppendQueue } from './append-queue.js';
import { failureOf, reasonOf } from './failure.js';
import { Hints } from './hints.js';
import { type PageStatement, smallPage, wholePage, windowPage } from './pages.sql.js';
import { type Connecting, readingSessions } from './sessions.js';
import { SharedReading } from './shared-reading.js';
import { LAST_REVISION, type ReadRow, readStreams, storedIn, StreamReads } from './stream-reads.js';

/** All times in milliseconds. */
export interface PostgresLedgerOptions extends Partial<Connecting> {
  readonly connectionString: string;
  /** Sessions for reading; one more writes and one listens. Default 4. */
  readonly readers?: number;
  /** Every append has an answer after this. Default 10,000. */
  readonly deadline?: number;
  /** How long a lost notification may go unnoticed. Default 500. */
  readonly pollEvery?: number;
}

interface Row {
  readonly stream: StreamName;
  readonly revision: number;
  readonly position: Position;
  readonly bytes: Buffer;
}

/** A row of a page: one without an event where there is none. */
interface PageRow {
  readonly log_end: Position;
  readonly position: Position | null;
  readonly stream: StreamName;
  readonly revision: number;
  readonly content: string | Buffer;
}

/** Where every position ends: the largest bigint. */
const LAST = '9223372036854775807' as Position;

/** So many positions are looked at in one statement, some 50 ms of reading. */
const WINDOW = 20_000n;

/** Categories with so many events that an index of the others pays. */
const LARGE = ['subject', 'access'];

/** A broken read is repeated where it failed sooner than this, in milliseconds: a stale session of the pool. */
const SOON = 500;

/** The log in PostgreSQL. Its tables come from `ledgerMigrations`. */
export class PostgresLedger implements EventStore {
  private readonly readers: pg.Pool;
  private readonly appends: AppendQueue;
  private readonly hints: Hints;
  private readonly streamReads = new StreamReads((streams, fromRevisions, toRevisions) =>
    this.ask<ReadRow>('read_streams', readStreams, [streams, fromRevisions, toRevisions, LAST]),
  );
  private readonly followed = new SharedReading((after, options) => this.readPage(after, options));
  private readonly wakeUp = new WakeUp();
  private readonly pollEvery: number;
  private closing: Promise<void> | undefined;

  constructor(options: PostgresLedgerOptions) {
    const connecting = { connectTimeout: 3_000, statementTimeout: 5_000, ...options };
    this.pollEvery = options.pollEvery ?? 500;
    this.readers = readingSessions(connecting, options.readers ?? 4);
    this.hints = new Hints(connecting, () => this.wakeUp.all());
    this.appends = new AppendQueue(connecting, options.deadline ?? 10_000, () => {
      this.wakeUp.all();
      this.hints.announce();
    });
  }

  async append(request: AppendRequest): Promise<Appended> {
    checkRequest(request);
    return this.appends.append(request);
  }

  async read(
    stream: StreamName,
    { fromRevision = 0, limit = Infinity }: ReadOptions = {},
  ): Promise<readonly StoredEvent[]> {
    const toRevision = Math.min(fromRevision + limit - 1, LAST_REVISION);
    return this.streamReads.read(stream, fromRevision, toRevision);
  }

  async readMany(
    streams: readonly StreamName[],
    { upTo = LAST }: { upTo?: Position } = {},
  ): Promise<ReadonlyMap<StreamName, readonly StoredEvent[]>> {
    const found = new Map<StreamName, StoredEvent[]>(streams.map((stream) => [stream, []]));
    const asked = [...found.keys()];
    const values = [
      asked,
      asked.map(() => 0),
      asked.map(() => LAST_REVISION),
      earlierOf(upTo, LAST),
    ];
    for (const row of await this.ask<ReadRow>('read_streams', readStreams, values))
      found.get(row.stream)?.push(storedIn(row));
    return found;
  }

  async readAll(after: Position, options: ReadAllOptions): Promise<Page> {
    const { events, scannedTo } = await this.readPage(after, options);
    return { events, scannedTo };
  }

  follow(after: Position, options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Page> {
    return followLog(
      {
        readPage: (from, page) => this.followed.page(from, page),
        wakeUp: this.wakeUp,
        pollEvery: this.pollEvery,
        pause: 25,
        longestPause: 100,
        isClosed: () => this.closing !== undefined,
      },
      after,
      options,
    );
  }

  async head(): Promise<Head | undefined> {
    const [last] = await this.ask<{ position: Position; id: string; recorded_at: Date }>(
      'head',
      'select position, id, recorded_at from ledger.events order by position desc limit 1',
      [],
    );
    return (
      last && { position: last.position, id: idOf(last.id), recordedAt: timeOf(last.recorded_at) }
    );
  }

  async at(position: Position): Promise<StoredEvent | undefined> {
    if (comparePositions(position, LAST) > 0) return undefined;
    const [row] = await this.ask<Row>(
      'at',
      `select stream, revision, position, bytes from ledger.events
         where position >= $1 order by position limit 1`,
      [position],
    );
    return row?.position === position ? row : undefined;
  }

  async positionAt(instant: Instant): Promise<Position> {
    // There is no year 0 in PostgreSQL, and no ledger before 1970.
    if (instant < '1970') return START;
    const [row] = await this.ask<{ position: Position }>(
      'position_at',
      'select ledger.position_at($1) as position',
      [instant],
    );
    return row?.position ?? START;
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    await this.appends.close();
    await Promise.all([this.hints.close(), this.readers.end()]);
  }

  private async readPage(
    after: Position,
    { limit, categories }: ReadAllOptions,
  ): Promise<PageAndEnd> {
    const from = earlierOf(after, LAST);
    if (!categories) {
      const { events, end } = await this.page(wholePage, [from, limit]);
      mustFollow(from, events);
      return { events, end, scannedTo: events.at(-1)?.position ?? after };
    }
    if (categories.some((category) => LARGE.includes(category)))
      return this.scan(after, limit, categories);
    const { events, end } = await this.page(smallPage, [from, limit, categories]);
    const last = events.length === limit ? events.at(-1)?.position : undefined;
    return { events, end, scannedTo: last ?? laterOf(end, after) };
  }

  /** Window by window, so that no statement takes for ever where little is found. */
  private async scan(
    after: Position,
    limit: number,
    categories: readonly string[],
  ): Promise<PageAndEnd> {
    const found: StoredEvent[] = [];
    for (let from = earlierOf(after, LAST); ;) {
      const to = windowAfter(from);
      const values = [from, limit - found.length, categories, to];
      const { events, end } = await this.page(windowPage, values);
      found.push(...events);
      const last = found.length === limit ? found.at(-1)?.position : undefined;
      if (last !== undefined || comparePositions(to, end) >= 0)
        return { events: found, end, scannedTo: last ?? laterOf(end, after) };
      from = to;
    }
  }

  private async page(
    { name, asText, asBytes }: PageStatement,
    values: readonly unknown[],
  ): Promise<{ events: readonly StoredEvent[]; end: Position }> {
    let rows: PageRow[];
    try {
      rows = await this.ask<PageRow>(`${name}_as_text`, asText, values);
    } catch (error) {
      if (!isNoText(error)) throw error;
      rows = await this.ask<PageRow>(name, asBytes, values);
    }
    const events: StoredEvent[] = [];
    for (const { position, stream, revision, content } of rows)
      if (position !== null) {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content;
        events.push({ stream, revision, position, bytes });
      }
    return { events, end: rows[0]?.log_end ?? START };
  }

  /** One prepared statement, within bounded time. */
  private async ask<R extends object>(
    name: string,
    text: string,
    values: readonly unknown[],
  ): Promise<R[]> {
    const began = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.readers.query<R>({ name, text, values: [...values] })).rows;
      } catch (error) {
        const failure = failureOf(error);
        if (isCorrupt(error)) throw new LedgerCorrupt(error.message, 'is missing');
        if (failure === 'refused') throw error;
        if (failure === 'lost' && attempt === 1 && performance.now() - began < SOON) continue;
        throw new LedgerUnavailable(reasonOf(error), { cause: error });
      }
    }
  }
}

/** Positions of a page without a filter run on from `after` one by one; what is missing was removed. */
function mustFollow(after: Position, events: readonly StoredEvent[]): void {
  let expected = BigInt(after);
  for (const { position } of events) {
    expected += 1n;
    if (position !== String(expected))
      throw new LedgerCorrupt(String(expected) as Position, 'is missing');
  }
}

function windowAfter(from: Position): Position {
  return earlierOf(String(BigInt(from) + WINDOW) as Position, LAST);
}

/** Whether the server found bytes that are no UTF-8. */
function isNoText(error: unknown): boolean {
  return ['22021', '22P05'].includes(String((error as { code?: unknown }).code));
}

/** What `position_at` throws: the missing position is its message. */
function isCorrupt(error: unknown): error is Error & { message: Position } {
  if (!(error instanceof Error) || (error as { code?: unknown }).code !== 'XX001') return false;
  return parsePosition(error.message) !== undefined;
}

function idOf(uuid: string): EventId {
  return `evt_${uuid}` as EventId;
}

function timeOf(date: Date): Instant {
  return instantOf(date.getTime());
}
