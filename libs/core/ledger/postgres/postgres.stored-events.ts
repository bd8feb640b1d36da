import pg from 'pg';
import type { StreamName } from '#core/kernel/ids.js';
import { placedIn } from '../content.js';
import { NotNext, type StoredEvents } from '../copying.js';
import { LedgerCorrupt, type StoredEvent } from '../port.js';

/** $1 streams: the last revision of each that is there. */
const lastRevisions = `
select s.stream, e.revision
  from unnest($1::text[]) s(stream)
  cross join lateral (
    select revision from ledger.events where stream = s.stream order by revision desc limit 1
  ) e`;

/**
 * Positions run on from the last event, as those of appends do. The time is the ledger's: where writers
 * stamped clocks of their own it is the latest along the log, and the bytes keep what each of them stamped.
 */
const insertEvents = `
insert into ledger.events (position, stream, revision, id, type, recorded_at, digest, bytes)
select coalesce(last.position, 0) + number, stream, revision, id, type,
       greatest(last.recorded_at, max(n.recorded_at) over (order by number)), digest, bytes
  from (select 1) one
  left join (
    select position, recorded_at from ledger.events order by position desc limit 1
  ) last on true
  cross join unnest($1::text[], $2::integer[], $3::uuid[], $4::text[], $5::timestamptz[], $6::bytea[], $7::bytea[])
    with ordinality n(stream, revision, id, type, recorded_at, digest, bytes, number)`;

/**
 * Takes over events of another store, as the owner of the tables: no running ledger may insert but by
 * appending. A page is one transaction, which holds the log's turn: it waits for appends, and they for it.
 */
export class PostgresStoredEvents implements StoredEvents {
  private opening: Promise<pg.Client> | undefined;

  /** `connectionString`: the owner's. */
  constructor(private readonly connectionString: string) {}

  async append(events: readonly StoredEvent[]): Promise<void> {
    const session = await (this.opening ??= this.open());
    await session.query('begin');
    try {
      await session.query('select from ledger.turn for update');
      const last = await this.lastRevisions(session, events);
      for (const event of events) {
        const actual = last.get(event.stream);
        if (event.revision !== (actual ?? -1) + 1) throw new NotNext(event, actual);
        last.set(event.stream, event.revision);
      }
      await session.query(insertEvents, columnsOf(events));
      await session.query('commit');
    } catch (error) {
      await session.query('rollback').catch(() => undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    await (await this.opening)?.end();
  }

  private async open(): Promise<pg.Client> {
    const session = new pg.Client({
      connectionString: this.connectionString,
      application_name: 'ledger copy',
    });
    session.on('error', () => undefined);
    await session.connect();
    return session;
  }

  private async lastRevisions(
    session: pg.Client,
    events: readonly StoredEvent[],
  ): Promise<Map<StreamName, number>> {
    const streams = [...new Set(events.map(({ stream }) => stream))];
    const { rows } = await session.query<{ stream: StreamName; revision: number }>(lastRevisions, [
      streams,
    ]);
    return new Map(rows.map(({ stream, revision }) => [stream, revision]));
  }
}

/** What the table keeps beside the bytes is read from them. */
function columnsOf(events: readonly StoredEvent[]): unknown[][] {
  const columns: unknown[][] = [[], [], [], [], [], [], []];
  for (const { stream, revision, position, bytes } of events) {
    const placed = placedIn(bytes);
    if (placed?.revision !== revision) throw new LedgerCorrupt(position, 'is no event');
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { type } = JSON.parse(buffer.toString('utf8')) as { type: string };
    const row = [
      stream,
      revision,
      placed.id.slice('evt_'.length),
      type,
      placed.recordedAt,
      placed.digest(),
      buffer,
    ];
    for (const [index, value] of row.entries()) columns[index]?.push(value);
  }
  return columns;
}
