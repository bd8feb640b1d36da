import { type Kysely, sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import { START } from '#core/kernel/position.js';
import { kyselyOn, openPool, RUNTIME_ROLE } from '#core/platform/database.js';
import type { Notice } from '#core/projector/keep.js';
import { migrations } from '#core/projector/migrations.js';
import { Projector, type ProjectorOptions } from '#core/projector/projector.js';
import { freshDatabase } from '../../support/database.js';
import { TableLog } from './table-log.js';

export { until } from '../../support/until.js';

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

export interface ConnectOptions {
  readonly asOwner?: boolean;
  readonly max?: number;
  /** Sees every statement before it is sent, may hold it back, and says what is sent in its place. */
  readonly intercept?: (statement: string) => string | Promise<string>;
}

export function connect(url: string, options: ConnectOptions = {}) {
  const pool = openPool({
    connectionString: url,
    applicationName: 'test',
    onError: () => undefined,
    max: options.max ?? 10,
    ...(options.asOwner ? {} : { role: RUNTIME_ROLE, plannedOnce: true }),
  });
  pool.on('connect', (client) => {
    // A session that ends between two statements of a transaction says so as an event, which ends the
    // process where nobody listens.
    client.on('error', () => undefined);
    if (options.intercept) interceptOn(client, options.intercept);
  });
  return kyselyOn<unknown>(pool);
}

function interceptOn(client: object, intercept: NonNullable<ConnectOptions['intercept']>): void {
  const session = client as { query(statement: string, values?: unknown[]): Promise<unknown> };
  const query = session.query.bind(session);
  session.query = async (statement, values) =>
    query(typeof statement === 'string' ? await intercept(statement) : statement, values);
}

/** The broken twin of an owner that is fenced: it writes whatever happened since it was given the lease. */
export function withoutFence(statement: string): string {
  return statement.replace(
    /\b(?:c\.epoch = (own\.epoch)|position = (\$\d+::bigint)(?=\s*returning))/g,
    '($1$2 is not null)',
  );
}

/** The broken twin of a transaction: every statement is committed by itself. */
export function withoutTransaction(statement: string): string {
  if (/^(begin|commit|rollback)/i.test(statement)) return 'select 1';
  // Settings of the transaction have to last without one.
  return statement.replaceAll(', true)', ', false)');
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
