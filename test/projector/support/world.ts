import { type Kysely, sql } from 'kysely';
import { type Position, START } from '#core/kernel/position.js';
import type { Notice } from '#core/projector/keep.js';
import { migrations } from '#core/projector/migrations.js';
import { Projector, type ProjectorOptions } from '#core/projector/projector.js';
import { connect } from '../../support/connect.js';
import { freshDatabase } from '../../support/database.js';
import { TableLog } from './table-log.js';

/** A database with the projector's schema and a log, and whatever is to be closed at the end. */
export interface World {
  readonly url: string;
  readonly db: Kysely<unknown>;
  /** As the owner of the database, for what the runtime role may not do. */
  readonly owner: Kysely<unknown>;
  readonly log: TableLog;
  readonly notices: Notice[];
  projector(options: Partial<ProjectorOptions> & Pick<ProjectorOptions, 'projections'>): Projector;
  close(): Promise<void>;
}

export async function world(): Promise<World> {
  const database = await freshDatabase();
  const owner = connect(database.url, { asOwner: true });
  await owner.transaction().execute(async (tx) => {
    for (const { up } of migrations) await up(tx);
  });
  await TableLog.create(owner);
  const db = connect(database.url);
  const log = new TableLog(db);
  const notices: Notice[] = [];
  const projectors: Projector[] = [];
  return {
    url: database.url,
    db,
    owner,
    log,
    notices,
    projector(options) {
      const report = (notice: Notice) => void notices.push(notice);
      const made = new Projector({ db, log, report, leaseMilliseconds: 1_500, ...options });
      projectors.push(made);
      return made;
    },
    async close() {
      await Promise.all(projectors.map((one) => one.stop()));
      await db.destroy();
      await owner.destroy();
      await database.drop();
    },
  };
}

/** Everything in the log, in order. */
export async function everything(log: TableLog) {
  const { events } = await log.readAll(START, { limit: 1_000_000 });
  return events;
}

export async function headOf(log: TableLog): Promise<Position> {
  return (await log.head())?.position ?? START;
}

export async function count(db: Kysely<unknown>, table: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::integer as count from ${sql.table(table)}`.execute(db);
  return rows[0]?.count as number;
}
