import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { END_OF_TIME } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import type { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { type LedgerDatabase, ledgerDatabase } from './ledger-database.js';

let database: LedgerDatabase;
let store: PostgresLedger;
beforeAll(async () => {
  database = await ledgerDatabase();
  store = database.open({ readers: 1 });
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

/** How many events any session has looked at, as soon as all have told. */
async function looked(): Promise<number> {
  await sleep(1_500);
  const { rows } = await database.owner.query<{ looked: number }>(
    `select (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'ledger')::int
          + (select sum(seq_tup_read) from pg_stat_user_tables where relname = 'events')::int as looked`,
  );
  return rows[0]?.looked ?? 0;
}

test('plans that were made while the log was small serve it when it is large', async () => {
  await database.owner.query('alter table ledger.events set (autovacuum_enabled = off)');
  // Of the categories that are few elsewhere, and all in one stream: every index then seems as good as any.
  const stream = sampleStream('purpose');
  const add = async (expected: 'none' | 'any') => {
    const events = sampleEvents(stream, 3);
    const request = { stream, expected: { kind: expected }, events } as const;
    await store.append(request);
    await store.append(request);
  };
  await add('none');
  await database.owner.query('analyze ledger.events');
  const everything = async () => {
    await store.read(stream, { fromRevision: 1 });
    await store.readMany([stream, sampleStream()], { upTo: '3' as Position });
    await store.readAll('1' as Position, { limit: 2 });
    await store.readAll('1' as Position, { limit: 2, categories: ['purpose', 'notice'] });
    await store.readAll('1' as Position, { limit: 2, categories: ['purpose', 'subject'] });
    await store.head();
    await store.at('2' as Position);
    await store.positionAt(END_OF_TIME);
    await store.readAll(START, { limit: 1 });
  };
  // After five times a plan is kept for good.
  for (let round = 0; round < 8; round++) await everything();
  await add('any');
  await database.owner.query(
    `insert into ledger.events (position, stream, revision, id, type, recorded_at, digest, bytes)
       select 6 + n, 'subject-' || n, 0, gen_random_uuid(), 'T', now(), '', '{}' from generate_series(1, 50000) n`,
  );
  const before = await looked();
  for (let round = 0; round < 3; round++) await everything();
  await add('any');
  expect((await looked()) - before).toBeLessThan(1_000);
}, 30_000);
