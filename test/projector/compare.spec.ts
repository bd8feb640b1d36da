import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { newId, streamOf } from '#core/kernel/ids.js';
import { readPartitions } from '#core/projector/checkpoint.js';
import { compareWithLog, NotComparable } from '#core/projector/compare.js';
import { until } from '../support/until.js';
import { Writer } from './support/load.js';
import { tally } from './support/tally.js';
import { someEvents } from './support/table-log.js';
import { headOf, type World, world } from './support/world.js';

jest.setTimeout(60_000);

let w: World;
beforeEach(async () => {
  w = await world();
});
afterEach(() => w.close());

const compare = (version = 1) => compareWithLog(w, tally({ version }), { limit: 50 });

async function followed(): Promise<void> {
  const projector = w.projector({ projections: [tally()] });
  projector.start();
  await w.log.append(someEvents(300, 20, 0));
  expect(await projector.waitFor(await headOf(w.log), ['tally'], { timeoutMs: 20_000 })).toBe(true);
}

// One event in ten is of another category.
test('rows that are those of the log are found equal, table by table, and nothing is left behind', async () => {
  await followed();
  const { position, tables } = await compare();
  expect(position).toBe(await headOf(w.log));
  expect(tables).toEqual([
    { table: 'tally', rows: 18, missing: 0, surplus: 0, examples: [] },
    { table: 'tally_seen', rows: 270, missing: 0, surplus: 0, examples: [] },
  ]);
  const { rows } = await sql`
    select relname from pg_class where relnamespace in
      (select oid from pg_namespace where nspname like 'pg_temp%') and relkind = 'r'`.execute(w.db);
  expect(rows).toEqual([]);
});

test.each([
  ['changed', sql`update read_models.tally set count = count + 1 where count > 1`, 'tally'],
  ['lost', sql`delete from read_models.tally where count > 1`, 'tally'],
  ['added', sql`insert into read_models.tally_seen values (0)`, 'tally_seen'],
  [
    'doubled',
    sql`insert into read_models.tally_seen select max(position) from read_models.tally_seen`,
    'tally_seen',
  ],
])('a row that was %s is found, in its table', async (_, change, where) => {
  await followed();
  await change.execute(w.db);
  const { tables } = await compare();
  for (const { table, missing, surplus, examples } of tables) {
    expect([table, missing + surplus > 0]).toEqual([table, table === where]);
    expect(examples.length > 0).toBe(table === where);
  }
});

test('an event that was skipped on the way to the rows is found', async () => {
  const skipping = tally();
  const projector = w.projector({
    projections: [{ ...skipping, apply: (batch, how) => skipping.apply(batch.slice(1), how) }],
  });
  projector.start();
  await w.log.append(someEvents(100, 10, 0));
  await projector.waitFor(await headOf(w.log), ['tally'], { timeoutMs: 20_000 });
  const { tables } = await compare();
  expect(tables.find(({ table }) => table === 'tally_seen')?.missing).toBeGreaterThan(0);
});

test('rows that move on meanwhile are no false alarm', async () => {
  await followed();
  const writer = new Writer(w, 20);
  try {
    for (let round = 0; round < 5; round++)
      for (const { missing, surplus } of (await compare()).tables)
        expect([missing, surplus]).toEqual([0, 0]);
  } finally {
    await writer.stop();
  }
});

test('nor are partitions that are at different positions', async () => {
  const projection = (slow: number) => tally({ partitions: 4, after: () => sleep(slow) });
  for (const slow of [0, 150])
    w.projector({ projections: [projection(slow)], runner: { limit: 50 } }).start();
  const writer = new Writer(w, 20);
  const positions = async () =>
    new Set((await readPartitions(w.db, { names: ['tally'] })).map(({ position }) => position));
  try {
    await until('they are apart', async () => (await positions()).size > 1);
    for (let round = 0; round < 5; round++) {
      const { tables } = await compareWithLog(w, projection(0), { limit: 50 });
      expect(tables.map(({ missing, surplus }) => [missing, surplus])).toEqual([
        [0, 0],
        [0, 0],
      ]);
    }
    expect((await positions()).size).toBeGreaterThan(1);
  } finally {
    await writer.stop();
  }
});

test('what is stopped, of another version or not there yet is said to be so', async () => {
  await expect(compare()).rejects.toEqual(new NotComparable('it is not there yet'));
  await followed();
  await expect(compare(2)).rejects.toThrow('it has version 1, not 2');
  await w.log.append([{ stream: streamOf('subject', newId('sub')), type: 'Poison' }]);
  await until('stopped', () => w.notices.some(({ kind }) => kind === 'stopped'));
  await expect(compare()).rejects.toThrow(/^it is stopped before position \d+$/);
});
