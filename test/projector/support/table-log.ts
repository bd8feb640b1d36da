import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { newId, streamOf, type StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { CannotDecode } from '#core/ledger/codec.js';
import type { LogHead, LogPage, LogReader, ReadOptions } from '#core/projector/log-reader.js';

/**
 * A log in one table, which several processes can read and one can write: just enough of a ledger for
 * what follows it. Nothing notifies: it is polled.
 */
export class TableLog implements LogReader {
  /** Reads of pages so far. */
  reads = 0;

  constructor(
    private readonly db: Kysely<unknown>,
    private readonly pollEvery = 10,
  ) {}

  static async create(db: Kysely<unknown>): Promise<void> {
    await sql`create schema test_log`.execute(db);
    await sql`create table test_log.head (position bigint not null)`.execute(db);
    await sql`insert into test_log.head values (0)`.execute(db);
    await sql`create table test_log.events (
      position bigint primary key, id text not null, stream text not null, revision integer not null,
      type text not null, data jsonb not null, recorded_at timestamptz not null)`.execute(db);
    await sql`grant usage on schema test_log to ledger_runtime`.execute(db);
    await sql`grant select, insert, update, delete on all tables in schema test_log
      to ledger_runtime`.execute(db);
  }

  /** Appends in the order given; returns the last position. */
  async append(events: readonly { stream: string; type: string; data?: object }[]) {
    const rows = events.map(({ stream, type, data }) => ({
      id: newId('evt'),
      stream,
      type,
      data: data ?? {},
    }));
    const { rows: appended } = await sql<{ position: Position }>`
      with head as (
        update test_log.head set position = position + ${rows.length} returning position
      ), written as (
        insert into test_log.events
        select head.position - ${rows.length} + e.n, e.event->>'id', e.event->>'stream',
               0, e.event->>'type', e.event->'data', clock_timestamp()
          from head, jsonb_array_elements(${JSON.stringify(rows)}::jsonb)
               with ordinality as e (event, n))
      select position::text as position from head`.execute(this.db);
    return appended[0]?.position as Position;
  }

  async readAll(after: Position, { limit, categories }: ReadOptions): Promise<LogPage> {
    this.reads++;
    const wanted =
      categories === undefined
        ? sql``
        : sql`and split_part(stream, '-', 1) = any(${[...categories]})`;
    const { rows } = await sql<{ head: Position; event: StoredRow | null }>`
      select head.position::text as head, to_jsonb(page) as event from test_log.head left join lateral (
        select position::text, id, stream, revision, type, data,
               to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as recorded_at
          from test_log.events e
         where e.position > ${after}::bigint and e.position <= head.position ${wanted}
         order by e.position limit ${limit}) as page on true`.execute(this.db);
    const stored = rows.flatMap(({ event }) => (event === null ? [] : [event]));
    const bad = stored.findIndex(({ type }) => type === 'Undecodable');
    if (bad === 0) throw new CannotDecode(stored[0]?.position as Position, 'has an unknown type');
    const events = (bad < 0 ? stored : stored.slice(0, bad)).map(eventFrom);
    const last = events.at(-1)?.position;
    const cut = events.length >= limit || bad > 0;
    return { events, scannedTo: (cut ? last : later(rows[0]?.head, after)) as Position };
  }

  async *follow(after: Position, options: ReadOptions & { signal: AbortSignal }) {
    let cursor = after;
    while (!options.signal.aborted) {
      const page = await this.readAll(cursor, options);
      if (page.scannedTo === cursor)
        await sleep(this.pollEvery, undefined, { signal: options.signal }).catch(() => undefined);
      else yield page;
      cursor = page.scannedTo;
    }
  }

  async readMany(streams: readonly StreamName[], { upTo }: { upTo?: Position } = {}) {
    const found = new Map<StreamName, Recorded[]>(streams.map((stream) => [stream, []]));
    const { events } = await this.readAll('0' as Position, { limit: 1_000_000 });
    for (const event of events)
      if (upTo === undefined || BigInt(event.position) <= BigInt(upTo))
        found.get(event.stream)?.push(event);
    return found;
  }

  async head(): Promise<LogHead | undefined> {
    const { rows } = await sql<LogHead>`
      select position::text as position, id, recorded_at as "recordedAt" from test_log.events
       order by events.position desc limit 1`.execute(this.db);
    return rows[0];
  }

  async at(position: Position): Promise<Recorded | undefined> {
    const before = String(BigInt(position) - 1n) as Position;
    if (position === '0') return undefined;
    const [event] = (await this.readAll(before, { limit: 1 })).events;
    return event?.position === position ? event : undefined;
  }
}

interface StoredRow {
  position: Position;
  id: string;
  stream: string;
  revision: number;
  type: string;
  data: object;
  recorded_at: string;
}

function later(head: Position | undefined, after: Position): Position {
  return head !== undefined && BigInt(head) > BigInt(after) ? head : after;
}

function eventFrom(row: StoredRow): Recorded {
  const { recorded_at: recordedAt, ...event } = row;
  return {
    ...event,
    version: 1,
    recordedAt,
    occurredAt: recordedAt,
    actor: { kind: 'system', id: 'test' },
    source: 'unknown',
    interactionId: `rcp_${row.id.slice(4)}`,
    correlationId: 'test',
    salt: '',
  } as unknown as Recorded;
}

/** `count` events over `streams` persons, of which every tenth is of a category that nobody follows. */
export function someEvents(count: number, streams = 50, from = 0) {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    const category = n % 10 === 9 ? 'access' : 'subject';
    const id = `sub_00000000-0000-7000-8000-${String((n * 7919) % streams).padStart(12, '0')}`;
    return { stream: streamOf(category, id), type: 'Happened', data: { n } };
  });
}
