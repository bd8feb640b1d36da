import type pg from 'pg';
import type { Logger } from 'pino';
import type { EventStore } from '#core/ledger/port.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { PostgresTimeMarks } from '#core/ledger/postgres/time-marks.js';
import { BadConfiguration, type Config } from '#core/platform/config.js';

/** The log, wherever the configuration keeps it. */
export interface OpenEventStore {
  readonly store: EventStore;
  /** What keeps it, for people: `KurrentDB 24.10.14`. */
  readonly storeName: string;
}

/**
 * Opens the log. `databaseUrl` and `pool` lead to the ledger's PostgreSQL, which holds everything else.
 * @throws BadConfiguration, and LedgerUnavailable where the server does not answer or is too old
 */
export async function openEventStore(
  config: Config,
  { databaseUrl, pool }: { readonly databaseUrl: string; readonly pool: pg.Pool },
  logger: Logger,
): Promise<OpenEventStore> {
  switch (config.eventStore) {
    case 'postgres':
      return {
        store: new PostgresLedger({ connectionString: databaseUrl }),
        storeName: 'PostgreSQL',
      };
    case 'kurrentdb':
      return openKurrentdb(config, pool, logger);
  }
}

/** Its client is loaded here and by nobody else: a quarter of a second that other stores need not wait. */
async function openKurrentdb(
  { kurrentdbUrl = '', kurrentdbStreamPrefix }: Config,
  pool: pg.Pool,
  logger: Logger,
): Promise<OpenEventStore> {
  const { KurrentLedger } = await import('#core/ledger/kurrentdb/kurrentdb.ledger.js');
  const { BadConnectionString } = await import('#core/ledger/kurrentdb/connection-string.js');
  const opened = () => {
    try {
      return new KurrentLedger({
        connectionString: kurrentdbUrl,
        streamPrefix: kurrentdbStreamPrefix,
        timeMarks: new PostgresTimeMarks(pool),
      });
    } catch (error) {
      if (!(error instanceof BadConnectionString)) throw error;
      throw new BadConfiguration([{ variable: 'KURRENTDB_URL', rule: error.message }]);
    }
  };
  const store = opened();
  try {
    const version = await store.serverVersion();
    // Its version the server says to anybody; the log it shows to those who may read it.
    await store.head();
    logger.info({ version, streamPrefix: kurrentdbStreamPrefix }, 'the log is kept on KurrentDB');
    return { store, storeName: `KurrentDB ${version}` };
  } catch (error) {
    await store.close();
    throw error;
  }
}
