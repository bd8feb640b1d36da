import type pg from 'pg';
import type { EventId } from '#core/kernel/ids.js';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { TimeMark, TimeMarks } from '../time-marks.js';

interface Row {
  readonly at: string;
  readonly event_id: string;
  readonly time: Date;
}

/** Marks in a table of PostgreSQL, shared by all processes. The table comes from `ledgerMigrations`. */
export class PostgresTimeMarks implements TimeMarks {
  constructor(private readonly pool: pg.Pool) {}

  async atTime(instant: Instant): Promise<TimeMark | undefined> {
    // There is no year 0 in PostgreSQL, and no ledger before 1970.
    if (instant < '1970') return undefined;
    return this.one('where time <= $1 order by time desc, position desc', [instant]);
  }

  async atPosition(position: Position): Promise<TimeMark | undefined> {
    return this.one('where position <= $1 order by position desc', [position]);
  }

  async last(): Promise<TimeMark | undefined> {
    return this.one('order by position desc', []);
  }

  async add({ position, eventId, time }: TimeMark): Promise<void> {
    await this.pool.query(
      `insert into ledger.time_marks (position, event_id, time) values ($1, $2, $3)
         on conflict (position) do nothing`,
      [position, eventId.slice('evt_'.length), time],
    );
  }

  async clear(): Promise<void> {
    await this.pool.query('delete from ledger.time_marks');
  }

  private async one(which: string, values: readonly string[]): Promise<TimeMark | undefined> {
    const { rows } = await this.pool.query<Row>(
      `select position::text as at, event_id, time from ledger.time_marks ${which} limit 1`,
      [...values],
    );
    const [row] = rows;
    return (
      row && {
        position: row.at as Position,
        eventId: `evt_${row.event_id}` as EventId,
        time: instantOf(row.time.getTime()),
      }
    );
  }
}
