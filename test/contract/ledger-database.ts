import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import {
  PostgresLedger,
  type PostgresLedgerOptions,
} from '#core/ledger/postgres/postgres.ledger.js';
import { ledgerMigrations } from '#core/ledger/postgres/schema.js';
import { freshDatabase } from '../support/database.js';

export interface LedgerDatabase {
  readonly url: string;
  /** The owner's session: may do what no running ledger may. */
  readonly owner: pg.Client;
  /** A ledger on this database, as a process of its own would have one. The caller closes it. */
  open(options?: Partial<PostgresLedgerOptions>): PostgresLedger;
  /** Ends the sessions of that name; for ever: also those that come in their place. */
  terminate(
    name: 'writer' | 'reader' | 'listener',
    options?: { forEver?: boolean },
  ): Promise<number>;
  drop(): Promise<void>;
}

/** A database of its own with the ledger's tables. */
export async function ledgerDatabase(): Promise<LedgerDatabase> {
  const { url, drop } = await freshDatabase();
  await migrateLedger(url);
  const owner = new pg.Client({ connectionString: url });
  owner.on('error', () => undefined);
  await owner.connect();
  const killer = new pg.Pool({ connectionString: url, max: 1 });
  killer.on('error', () => undefined);
  let killing: NodeJS.Timeout | undefined;
  const terminate = async (name: string): Promise<number> => {
    const { rowCount } = await killer.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = $1`,
      [`ledger ${name}`],
    );
    return rowCount ?? 0;
  };
  return {
    url,
    owner,
    open: (options) => new PostgresLedger({ connectionString: url, ...options }),
    terminate: (name, { forEver = false } = {}) => {
      if (forEver) killing = setInterval(() => void terminate(name), 10);
      return terminate(name);
    },
    drop: async () => {
      clearInterval(killing);
      await killer.end();
      await owner.end();
      await drop();
    },
  };
}

export async function migrateLedger(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    for (const { up } of ledgerMigrations) await db.transaction().execute(up);
  } finally {
    await db.destroy();
  }
}
