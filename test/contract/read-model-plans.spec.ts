import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { newId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { kyselyOn, openPool } from '#core/platform/database.js';
import { migrations } from '#core/projector/migrations.js';
import { LIVE_SCHEMA } from '#core/projector/tables.js';
import { StandingProjection } from '#domains/consents/projections/standing.projection.js';
import {
  audienceSection,
  findStandings,
  rangesOfPeople,
  standingPosition,
} from '#domains/consents/projections/standing.questions.js';
import { type FreshDatabase, freshDatabase } from '../support/database.js';

/** Questions about somebody, or about some of all, cost what their answer costs, however many people there are. */

const PEOPLE = 20_000;
const NOW = '2026-06-01T00:00:00.000Z' as Instant;

let database: FreshDatabase;
let owner: Kysely<unknown>;
beforeAll(async () => {
  database = await freshDatabase();
  owner = open(false);
  for (const { up } of migrations) await owner.transaction().execute(up);
  await owner.transaction().execute(async (tx) => {
    await sql`create schema if not exists ${sql.id(LIVE_SCHEMA)}`.execute(tx);
    await sql`set local search_path to ${sql.id(LIVE_SCHEMA)}`.execute(tx);
    await new StandingProjection().create(tx);
  });
  await sql`
    insert into projector.checkpoints (name, partition, kind, version, position, caught_up_at)
    select 'standing', n, 'projection', 1, 1000000, now() from generate_series(0, 7) n`.execute(
    owner,
  );
});
afterAll(async () => {
  await owner.destroy();
  await database.drop();
});

/** A ledger of three people, as the planner knows it too. */
beforeEach(async () => {
  await sql`truncate read_models.persons, read_models.standings`.execute(owner);
  await register(0, 3);
  for (const table of ['persons', 'standings'])
    await sql`alter table ${sql.table(`read_models.${table}`)} set (autovacuum_enabled = off)`.execute(
      owner,
    );
  await sql`analyze read_models.persons, read_models.standings`.execute(owner);
});

/** One session, so that what it has counted can be told at once. */
function open(plannedOnce: boolean): Kysely<unknown> {
  return kyselyOn(
    openPool({
      connectionString: database.url,
      applicationName: 'plans',
      max: 1,
      plannedOnce,
      onError: () => undefined,
    }),
  );
}

async function onSession(
  plannedOnce: boolean,
  work: (db: Kysely<unknown>) => Promise<void>,
): Promise<void> {
  const db = open(plannedOnce);
  try {
    await work(db);
  } finally {
    await db.destroy();
  }
}

async function register(from: number, to: number): Promise<void> {
  await sql`
    insert into read_models.persons (subject, valid_from, valid_to, known_from, known_to, registered_at, erased,
      objects_to_marketing, topics)
    select 'sub_' || n, '2026-01-01', 'infinity', n + 1, 9223372036854775807, '2026-01-01', false, false, '{}'
    from generate_series(${from}::int, ${to - 1}::int) n`.execute(owner);
  await sql`
    insert into read_models.standings (subject, purpose, valid_from, valid_to, known_from, known_to, code, reasons)
    select 'sub_' || n, 'newsletter', '2026-01-01', 'infinity', n + 1, 9223372036854775807, 'allowed', '{}'
    from generate_series(${from}::int, ${to - 1}::int) n`.execute(owner);
}

async function ask(db: Kysely<unknown>, many: number): Promise<void> {
  const asked = Array.from({ length: many }, (_, n) => ({
    subject: n % 10 === 9 ? newId('sub') : `sub_${n}`,
    purpose: 'newsletter',
    asOf: NOW,
  }));
  const found = await findStandings(db, asked);
  expect(found).toHaveLength(many);
  expect(found.map(({ position }) => position)).toEqual(asked.map(() => '1000000'));
  await standingPosition(db);
}

/** The first of the sections in which everybody is asked about. */
async function askSome(db: Kysely<unknown>, people: number): Promise<void> {
  const rules = { key: 'newsletter', marketing: true, doubleOptIn: false, channels: [] };
  const asked = { rules, asOf: NOW, knownAt: '1000000' as Position, behindErasure: false };
  for await (const range of rangesOfPeople(db, people)) {
    const { allowed } = await db.transaction().execute((tx) => audienceSection(tx, asked, range));
    expect(allowed).toHaveLength(people);
    return;
  }
}

/** How many rows of the read model the session has looked at in `work`. */
async function looked(db: Kysely<unknown>, work: () => Promise<void>): Promise<number> {
  const count = async () => {
    await sql`select pg_stat_force_next_flush()`.execute(db);
    const { rows } = await sql<{ looked: string }>`
      select (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'read_models')
           + (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'read_models') as looked`.execute(
      owner,
    );
    return Number(rows[0]?.looked);
  };
  const before = await count();
  await work();
  return (await count()) - before;
}

test('a plan that was made for three people serves when there are many', async () => {
  await onSession(true, async (db) => {
    for (let round = 0; round < 8; round++) await ask(db, 3);
    await register(3, PEOPLE);
    expect(await looked(db, () => ask(db, 3))).toBeLessThan(50);
    expect(await looked(db, () => ask(db, 1_000))).toBeLessThan(5_000);
    await sql`analyze read_models.persons, read_models.standings`.execute(owner);
    expect(await looked(db, () => ask(db, 3))).toBeLessThan(50);
    expect(await looked(db, () => ask(db, 1_000))).toBeLessThan(5_000);
  });
});

test('a session that may read whole tables is caught', async () => {
  await onSession(true, async (db) => {
    await sql`set enable_seqscan = on`.execute(db);
    for (let round = 0; round < 8; round++) await ask(db, 3);
    await register(3, PEOPLE);
    expect(await looked(db, () => ask(db, 3))).toBeGreaterThan(PEOPLE);
  });
});

test('what a session plans for itself each time does not read whole tables either', async () => {
  await onSession(false, async (db) => {
    await register(3, PEOPLE);
    await sql`analyze read_models.persons, read_models.standings`.execute(owner);
    expect(await looked(db, () => ask(db, 1_000))).toBeLessThan(5_000);
  });
});

test('a section of an audience costs the same whether there are three people or many', async () => {
  await onSession(true, async (db) => {
    for (let round = 0; round < 8; round++) await askSome(db, 3);
    await register(3, PEOPLE);
    expect(await looked(db, () => askSome(db, 100))).toBeLessThan(1_000);
    await sql`analyze read_models.persons, read_models.standings`.execute(owner);
    expect(await looked(db, () => askSome(db, 100))).toBeLessThan(1_000);
  });
});

test('a session that reads whole tables for a section is caught', async () => {
  await onSession(true, async (db) => {
    await sql`set enable_seqscan = on`.execute(db);
    for (let round = 0; round < 8; round++) await askSome(db, 3);
    await register(3, PEOPLE);
    expect(await looked(db, () => askSome(db, 100))).toBeGreaterThan(PEOPLE);
  });
});
