import { type Kysely, sql, type Transaction } from 'kysely';
import { START } from '#core/kernel/position.js';
import type { TableObject } from './checkpoint.js';
import { describe, isPassing, MustStop, OwnershipLost } from './failure.js';
import { searchPath } from './lease.js';
import type { Projection } from './projection.js';

/** Where the tables that are read live. */
export const LIVE_SCHEMA = 'read_models';

/** Where a projection's tables are filled before they are switched in. */
export function rebuildSchemaOf(name: string): string {
  return `rebuild_${name}`;
}

const NAME = /^[a-z][a-z0-9_-]{0,39}$/;

/** Throws where the name can not be that of a checkpoint and a schema. */
export function checkName(name: string): void {
  if (!NAME.test(name)) throw new Error(`${name} can not be a name here: it must match ${NAME}`);
}

/** A transaction that makes tables. Throws MustStop where they can not be made as the projection says. */
export async function creating<T>(
  db: Kysely<unknown>,
  work: (tx: Transaction<unknown>) => Promise<T>,
): Promise<T> {
  try {
    return await db.transaction().execute(work);
  } catch (error) {
    if (error instanceof OwnershipLost || isPassing(error)) throw error;
    throw new MustStop(START, 'create-failed', describe(error));
  }
}

/** Makes a projection's tables, empty, in its own schema, dropping what is left there. */
export async function createBeside(
  tx: Transaction<unknown>,
  projection: Projection,
): Promise<readonly TableObject[]> {
  const schema = rebuildSchemaOf(projection.name);
  await dropSchema(tx, schema);
  await sql`select projector.create_rebuild_schema(${projection.name})`.execute(tx);
  await sql`select set_config('search_path', ${searchPath(schema)}, true)`.execute(tx);
  await projection.create(tx);
  return objectsIn(tx, schema);
}

/** One transaction at a time makes tables for this projection. */
export async function lockProjection(tx: Transaction<unknown>, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`projector ${name}`}, 0))`.execute(tx);
}

async function dropSchema(tx: Kysely<unknown>, schema: string): Promise<void> {
  await sql`drop schema if exists ${sql.id(schema)} cascade`.execute(tx);
}

/**
 * What `create` made in a schema; sequences and indexes of a table go with their table. Partitions are
 * tables of their own.
 */
async function objectsIn(tx: Kysely<unknown>, schema: string): Promise<readonly TableObject[]> {
  const { rows } = await sql<TableObject>`
    select case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
                          when 'S' then 'sequence' else 'table' end as kind, c.relname as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = ${schema} and c.relkind in ('r', 'p', 'v', 'm', 'S')
       and not exists (select from pg_depend d
                        where d.classid = 'pg_class'::regclass and d.objid = c.oid
                          and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
                          and c.relkind = 'S')
     order by c.relkind desc, c.relname`.execute(tx);
  return rows;
}

/** Those that are there: anybody may drop a read model, it comes back. */
export async function present(
  db: Kysely<unknown>,
  schema: string,
  objects: readonly TableObject[],
): Promise<readonly TableObject[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = ${schema} and c.relname = any(${objects.map(({ name }) => name)})`.execute(
    db,
  );
  const there = new Set(rows.map(({ name }) => name));
  return objects.filter(({ name }) => there.has(name));
}

/**
 * Waits until nothing but readers and the live runner uses these tables: vacuum is sent away, and what
 * comes later waits. Readers and writers of rows are not disturbed.
 */
export async function keepVacuumOut(
  tx: Transaction<unknown>,
  schema: string,
  objects: readonly TableObject[],
): Promise<void> {
  const tables = tablesOf(schema, objects);
  if (tables === undefined) return;
  await sql`lock table ${tables} in share update exclusive mode`.execute(tx);
}

/**
 * Waits, `patience` milliseconds in all, until nobody reads the live tables, and keeps readers waiting
 * from then on. As one statement with one deadline: it must end before the database looks for deadlocks
 * (deadlock_timeout, 1 s), for a reader of two tables may hold the one while it waits for the other.
 */
export async function keepReadersOut(
  tx: Transaction<unknown>,
  objects: readonly TableObject[],
  patience: number,
): Promise<void> {
  const tables = tablesOf(LIVE_SCHEMA, objects);
  if (tables === undefined) return;
  await sql`select set_config('statement_timeout', ${String(patience)}, true)`.execute(tx);
  await sql`lock table ${tables} in access exclusive mode`.execute(tx);
  await sql`select set_config('statement_timeout', '0', true)`.execute(tx);
}

/** Puts the tables made beside in the place of the live ones, which are dropped. */
export async function switchIn(
  tx: Transaction<unknown>,
  projection: Projection,
  fresh: readonly TableObject[],
  live: readonly TableObject[],
): Promise<void> {
  const schema = rebuildSchemaOf(projection.name);
  // Views lean on tables, tables on sequences.
  for (const kind of ['view', 'materialized view', 'table', 'sequence'] as const) {
    const dropped = live.filter((object) => object.kind === kind);
    if (dropped.length === 0) continue;
    const names = sql.join(dropped.map(({ name }) => sql.id(LIVE_SCHEMA, name)));
    await sql`drop ${sql.raw(kind)} if exists ${names}`.execute(tx);
  }
  for (const { kind, name } of fresh)
    await sql`alter ${sql.raw(kind)} ${sql.id(schema, name)}
      set schema ${sql.id(LIVE_SCHEMA)}`.execute(tx);
  // Without cascade: what is not a table, view or sequence would be lost, and says so here.
  await sql`drop schema ${sql.id(schema)}`.execute(tx);
}

/** Good plans matter more than a tidy table: what goes wrong here is not worth a word. */
export async function vacuum(
  db: Kysely<unknown>,
  schema: string,
  objects: readonly TableObject[],
): Promise<void> {
  const tables = tablesOf(schema, objects);
  if (tables === undefined) return;
  try {
    await db.connection().execute(async (session) => {
      const { rows } = await sql<{ before: string }>`
        select current_setting('statement_timeout') as before`.execute(session);
      await sql`set statement_timeout = 0`.execute(session);
      await sql`vacuum (analyze) ${tables}`.execute(session);
      await sql`select set_config('statement_timeout', ${rows[0]?.before}, false)`.execute(session);
    });
  } catch {
    // Vacuum comes by itself in time.
  }
}

function tablesOf(schema: string, objects: readonly TableObject[]) {
  const tables = objects.filter(({ kind }) => kind === 'table');
  if (tables.length === 0) return undefined;
  return sql.join(tables.map(({ name }) => sql.id(schema, name)));
}
