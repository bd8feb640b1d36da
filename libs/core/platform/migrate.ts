import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, type Migration, type MigrationResultSet, Migrator, sql } from 'kysely';
import { RUNTIME_ROLE } from './database.js';

/** One step of a part's schema. Runs once per database, in a transaction, as the owner. */
export interface MigrationStep {
  /** Sorts after the steps before it: `0001-events`. Never renamed once released. */
  readonly name: string;
  up(db: Kysely<unknown>): Promise<void>;
}

/** The steps of every part, by the part's name: `{ ledger: [...], vault: [...] }`. */
export type MigrationLists = Readonly<Record<string, readonly MigrationStep[]>>;

/** What was done: `ledger/0001-events`. Empty where all was up to date. */
export type MigrationReport = readonly string[];

/**
 * Brings a database up to date. `db` must be the owner's (no SET ROLE). Parts run in the order given, each
 * in one transaction under an advisory lock, so that it is safe from several processes at once; each keeps
 * its own list of what ran, so that parts can be released apart. Repeating it does nothing.
 */
export async function migrate(
  db: Kysely<unknown>,
  lists: MigrationLists,
): Promise<MigrationReport> {
  await ensureRuntimeRole(db);
  const done: string[] = [];
  for (const [part, steps] of Object.entries(lists)) {
    const migrator = new Migrator({
      db,
      migrationTableSchema: 'migration',
      migrationTableName: part,
      migrationLockTableName: `${part}_lock`,
      provider: { getMigrations: () => Promise.resolve(byName(part, steps)) },
    });
    const { error, results } = await latest(migrator);
    if (error !== undefined) {
      const failed = results?.find(({ status }) => status === 'Error');
      throw new MigrationFailed(failed ? `${part}/${failed.migrationName}` : part, {
        cause: error,
      });
    }
    done.push(...(results ?? []).map(({ migrationName }) => `${part}/${migrationName}`));
  }
  return done;
}

/** PostgreSQL's undefined_table, invalid_schema_name, undefined_column, and a look-up by a number that is gone. */
const GONE = new Set(['42P01', '3F000', '42703', 'XX000']);
/** In milliseconds. */
const [PATIENCE, PAUSE] = [10_000, 50];

/**
 * The migrator looks at every table of the database to find its own, and fails when one of them goes meanwhile: that
 * of a read model which another process has made anew. Before a step was begun it is simply asked again.
 */
async function latest(migrator: Migrator): Promise<MigrationResultSet> {
  const until = performance.now() + PATIENCE;
  for (;;) {
    const outcome = await migrator.migrateToLatest();
    const { code = '' } = (outcome.error ?? {}) as { code?: string };
    const isRace = GONE.has(code) && outcome.results === undefined;
    if (!isRace || performance.now() > until) return outcome;
    await sleep(PAUSE);
  }
}

/** A step failed; nothing of its part was changed by this run. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed';
  constructor(
    readonly step: string,
    options: ErrorOptions,
  ) {
    super(`migration ${step} failed: ${reasonOf(options.cause)}`, options);
  }
}

// Schema statements carry no personal data: their message may be shown.
function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function byName(part: string, steps: readonly MigrationStep[]): Record<string, Migration> {
  const migrations: Record<string, Migration> = {};
  for (const step of steps) {
    if (step.name in migrations)
      throw new Error(`migration ${part}/${step.name} is declared twice`);
    migrations[step.name] = { up: (db) => step.up(db as Kysely<unknown>) };
  }
  return migrations;
}

/**
 * Roles belong to the cluster, advisory locks to one database: two ledgers of one cluster can be here at
 * once, so what the other one did first is no error, and a lost race is run again.
 */
async function ensureRuntimeRole(db: Kysely<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await sql
        .raw(
          `DO $$
           BEGIN
             BEGIN
               IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${RUNTIME_ROLE}') THEN
                 CREATE ROLE ${RUNTIME_ROLE} NOLOGIN NOBYPASSRLS;
               END IF;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
             END;
             BEGIN
               SET LOCAL ROLE ${RUNTIME_ROLE};
               RESET ROLE;
             EXCEPTION WHEN insufficient_privilege THEN
               GRANT ${RUNTIME_ROLE} TO CURRENT_USER;
             END;
           END $$`,
        )
        .execute(db);
      return;
    } catch (error) {
      const lostRace = error instanceof Error && error.message === 'tuple concurrently updated';
      if (!lostRace || attempt === 5) throw error;
    }
  }
}
