import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import { systemClock } from '#core/kernel/instant.js';
import { Codec } from '#core/ledger/codec.js';
import { ensureCreated } from '#core/ledger/created.js';
import { Ledger, type StreamGuard } from '#core/ledger/ledger.js';
import type { EventStore } from '#core/ledger/port.js';
import { moveMigrations } from '#core/ledger/postgres/moves.js';
import { ledgerMigrations } from '#core/ledger/postgres/schema.js';
import type { Config } from '#core/platform/config.js';
import { kyselyOn, openPool, RUNTIME_ROLE } from '#core/platform/database.js';
import type { EmbeddedPostgres } from '#core/platform/embedded-postgres/server.js';
import { startEmbeddedPostgres } from '#core/platform/embedded-postgres/start.js';
import { failureOf } from '#core/platform/logging.js';
import { migrate, type MigrationReport } from '#core/platform/migrate.js';
import { platformMigrations } from '#core/platform/migrations.js';
import { migrations as projectorMigrations } from '#core/projector/migrations.js';
import { migrations as proofMigrations } from '#core/proof/postgres/migrations.js';
import { openProof, type Proof } from './proof.js';
import { Recording } from './recording.js';
import { type OpenVault, openVault } from '#core/vault/postgres/open-vault.js';
import { migrations as vaultMigrations } from '#core/vault/postgres/migrations.js';
import { openEventStore } from './event-store.js';
import { openMoved } from './move.js';

/** What the domain brings to the core: its events, and what guards its streams. */
export interface DomainParts {
  readonly eventCatalogue: EventCatalogue;
  readonly guards: readonly StreamGuard[];
}

/** The ports of one process, opened on what the configuration names. */
export interface Runtime extends OpenVault {
  readonly config: Config;
  readonly logger: Logger;
  readonly eventCatalogue: EventCatalogue;
  readonly store: EventStore;
  /** What keeps the log, with its version where it has one of its own. */
  readonly storeName: string;
  readonly ledger: Ledger;
  readonly proof: Proof;
  readonly recording: Recording;
  /** Sessions with the runtime role on the ledger's database: read models and bookkeeping. */
  readonly database: Kysely<unknown>;
  readonly pool: pg.Pool;
  /** The same for what is asked over and over and finds few rows: each session plans it once. */
  readonly lookups: Kysely<unknown>;
  /** The same for what follows the log: statements may take their time, and nobody waits for a session. */
  readonly following: Kysely<unknown>;
  readonly migrated: MigrationReport;
  /** Where everything lies; holds no password. */
  readonly databaseUrl: string;
  close(): Promise<void>;
}

/**
 * Opens database, vault and log, in this order, bringing schemas up to date; closes what it opened where
 * one of them fails.
 * @throws Refused `log-behind-checkpoint` where the log is empty and a log of its name was sealed; BadConfiguration,
 * MigrationFailed, EmbeddedPostgresError, LedgerUnavailable, CanNotMove, and what the vault says of its key file
 */
export async function openRuntime(
  config: Config,
  parts: DomainParts,
  logger: Logger,
): Promise<Runtime> {
  const opened: (() => Promise<unknown>)[] = [];
  let closing = false;
  // While everything closes, sessions end as they should.
  const lost = (what: string) => (error: Error) => {
    if (!closing) logger.warn({ failure: failureOf(error) }, `${what} session lost`);
  };
  const close = async () => {
    closing = true;
    for (const one of opened.splice(0).reverse()) await one();
  };
  try {
    const url = config.databaseUrl ?? (await embedded(config, logger, opened)).url;
    const vaultUrl = config.vaultDatabaseUrl ?? url;
    const migrated = await bringUpToDate(url, vaultUrl, logger);

    const pool = openPool({
      connectionString: url,
      applicationName: 'consent-ledger',
      role: RUNTIME_ROLE,
      max: 12,
      onError: lost('database'),
    });
    const database = kyselyOn<unknown>(pool);
    opened.push(async () => {
      await database.destroy();
      // Where nobody has asked Kysely anything it does not know of the sessions.
      if (!pool.ended) await pool.end();
    });
    const lookups = kyselyOn<unknown>(
      openPool({
        connectionString: url,
        applicationName: 'consent-ledger look-ups',
        role: RUNTIME_ROLE,
        max: 8,
        plannedOnce: true,
        onError: lost('look-up'),
      }),
    );
    opened.push(() => lookups.destroy());
    const following = kyselyOn<unknown>(
      openPool({
        connectionString: url,
        applicationName: 'consent-ledger projector',
        role: RUNTIME_ROLE,
        max: 12,
        statementTimeout: 0,
        plannedOnce: true,
        onError: lost('projector'),
      }),
    );
    opened.push(() => following.destroy());
    const vaultPool = openPool({
      connectionString: vaultUrl,
      applicationName: 'consent-ledger vault',
      role: RUNTIME_ROLE,
      max: 5,
      plannedOnce: true,
      onError: lost('vault'),
    });
    opened.push(() => vaultPool.end());

    const keyFile = config.vaultKeyFile ?? join(config.dataDirectory, 'keys', 'epoch-keys.json');
    await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
    const vault = await openVault({ pool: vaultPool, keyFile });
    opened.push(() => vault.vault.close());

    const own = await openEventStore(config, { databaseUrl: url, pool }, logger);
    opened.push(() => own.store.close());
    const { storeName } = own;
    const store = await openMoved(database, { kind: config.eventStore, store: own.store });
    const { eventCatalogue, guards } = parts;
    const recording = new Recording(logger);
    opened.push(() => recording.stop());
    const mayAppend = () => recording.mustBeAllowed();
    const ledger = new Ledger(store, new Codec(eventCatalogue, vault.vault), guards, mayAppend);
    // Without a name of its own it is called after its id: nothing was signed under that before it began.
    if (config.origin === undefined) await ensureCreated(ledger, systemClock);
    const proof = await openProof(config, { ledger, database, following, store, keyFile });
    const { witnessFile } = config;
    await recording.watch({ ...proof, store, witnessFile });
    await ensureCreated(ledger, systemClock);
    return {
      ...vault,
      config,
      logger,
      eventCatalogue,
      store,
      storeName,
      ledger,
      proof,
      recording,
      database,
      lookups,
      following,
      pool,
      migrated,
      databaseUrl: url,
      close,
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

export async function embedded(
  { dataDirectory }: Config,
  logger: Logger,
  opened: (() => Promise<unknown>)[],
): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({
    directory: dataDirectory,
    log: (message) => logger.info(message),
  });
  let stopping = false;
  opened.push(() => {
    stopping = true;
    return postgres.stop();
  });
  void postgres.exited.then(({ code, signal }) => {
    if (stopping) return;
    logger.fatal(
      { code, signal },
      'the embedded PostgreSQL ended by itself; start again to recover',
    );
    process.exit(1);
  });
  return postgres;
}

/** As the owner of the databases; every later session gives these rights up. */
export async function bringUpToDate(
  url: string,
  vaultUrl: string,
  logger: Logger,
): Promise<MigrationReport> {
  const asOwner = async (connectionString: string, lists: Parameters<typeof migrate>[1]) => {
    const pool = openPool({
      connectionString,
      applicationName: 'consent-ledger migrate',
      max: 2,
      statementTimeout: 0,
      onError: (error) => logger.warn({ failure: failureOf(error) }, 'idle migration session lost'),
    });
    const db = kyselyOn<unknown>(pool);
    try {
      return await migrate(db, lists);
    } finally {
      await db.destroy();
    }
  };
  const ledger = {
    ledger: ledgerMigrations,
    moves: moveMigrations,
    projector: projectorMigrations,
    proof: proofMigrations,
    platform: platformMigrations,
  };
  const vault = { vault: vaultMigrations };
  return url === vaultUrl
    ? asOwner(url, { ...ledger, ...vault })
    : [...(await asOwner(url, ledger)), ...(await asOwner(vaultUrl, vault))];
}
