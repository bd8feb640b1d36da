import type { Logger } from 'pino';
import type { StoredEvents } from '#core/ledger/copying.js';
import type { LogStore } from '#core/ledger/ledger.events.js';
import { MOVING } from '#core/ledger/postgres/moves.js';
import { PostgresStoredEvents } from '#core/ledger/postgres/postgres.stored-events.js';
import type { Config } from '#core/platform/config.js';
import { kyselyOn, openPool } from '#core/platform/database.js';
import { failureOf } from '#core/platform/logging.js';
import { giveUpMove, moveLog, type MoveOptions, type MoveReport, type MoveTarget } from './move.js';
import { bringUpToDate, embedded } from './runtime.js';
import { openEventStore } from './event-store.js';

/** From where to where. */
export interface Between {
  readonly from: LogStore;
  readonly to: LogStore;
}

/** `moveLog` between the stores that the configuration names. */
export function moveBetween(
  config: Config,
  { from, to }: Between,
  options: MoveOptions,
  logger: Logger,
): Promise<MoveReport> {
  return asOwner(config, logger, (db, end) => moveLog(db, end(from), end(to), options));
}

/** `giveUpMove` for the stores that the configuration names. */
export function giveUpBetween(config: Config, { to }: Between, logger: Logger): Promise<void> {
  return asOwner(config, logger, async (db, end) => {
    const target = await end(to).open();
    try {
      await giveUpMove(db, target);
    } finally {
      await target.close();
    }
  });
}

/** Work as the owner of the database, under a name that tells its sessions from those of the service. */
async function asOwner<T>(
  config: Config,
  logger: Logger,
  work: (
    db: ReturnType<typeof kyselyOn<unknown>>,
    end: (kind: LogStore) => MoveTarget,
  ) => Promise<T>,
): Promise<T> {
  const opened: (() => Promise<unknown>)[] = [];
  try {
    const url = config.databaseUrl ?? (await embedded(config, logger, opened)).url;
    await bringUpToDate(url, config.vaultDatabaseUrl ?? url, logger);
    const pool = openPool({
      connectionString: url,
      applicationName: MOVING,
      max: 4,
      statementTimeout: 0,
      onError: (error) => logger.warn({ failure: failureOf(error) }, 'session lost'),
    });
    const db = kyselyOn<unknown>(pool);
    opened.push(() => db.destroy());
    return await work(db, (kind) => ({
      kind,
      open: async () => {
        const place = config.with({ eventStore: kind });
        return (await openEventStore(place, { databaseUrl: url, pool }, logger)).store;
      },
      writer: () => openStoredEvents(kind, config, url),
    }));
  } finally {
    for (const one of opened.reverse()) await one();
  }
}

/** What a copy is written through: in PostgreSQL as the owner. */
async function openStoredEvents(
  kind: LogStore,
  { kurrentdbUrl: connectionString = '', kurrentdbStreamPrefix: streamPrefix }: Config,
  url: string,
): Promise<StoredEvents> {
  switch (kind) {
    case 'postgres':
      return new PostgresStoredEvents(url);
    case 'kurrentdb': {
      const { KurrentStoredEvents } =
        await import('#core/ledger/kurrentdb/kurrentdb.stored-events.js');
      return new KurrentStoredEvents({ connectionString, streamPrefix });
    }
  }
}
