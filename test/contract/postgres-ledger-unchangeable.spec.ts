import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { freshDatabase } from '../support/database.js';
import { type LedgerDatabase, ledgerDatabase, migrateLedger } from './ledger-database.js';

describe('events in PostgreSQL', () => {
  let database: LedgerDatabase;
  let runtime: pg.Client;
  beforeAll(async () => {
    database = await ledgerDatabase();
    const store = database.open();
    const stream = sampleStream();
    await store.append({ stream, expected: { kind: 'none' }, events: sampleEvents(stream, 3) });
    await store.close();
    runtime = new pg.Client({ connectionString: database.url });
    await runtime.connect();
    await runtime.query('set role ledger_runtime');
  });
  afterAll(async () => {
    await runtime.end();
    await database.drop();
  });

  const changes = [
    `update ledger.events set bytes = ''`,
    'update ledger.events set position = 9 where position = 1',
    'update ledger.events set type = type where false',
    'delete from ledger.events',
    'delete from ledger.events where false',
    'truncate ledger.events',
    'truncate ledger.events cascade',
  ];

  test.each(changes)('the owner is refused: %s', async (change) => {
    await expect(database.owner.query(change)).rejects.toMatchObject({
      code: '23001',
      message: expect.stringMatching(
        /^events are never changed or removed: (UPDATE|DELETE|TRUNCATE) of ledger\.events is refused$/,
      ),
    });
  });

  test.each(changes)(
    'the owner is refused where ordinary triggers do not fire: %s',
    async (change) => {
      await database.owner.query('set session_replication_role = replica');
      await expect(database.owner.query(change)).rejects.toMatchObject({ code: '23001' });
      await database.owner.query('reset session_replication_role');
    },
  );

  test.each([
    ...changes,
    `insert into ledger.events select 9, stream, 9, gen_random_uuid(), type, recorded_at, digest, bytes
       from ledger.events where position = 1`,
    'delete from ledger.turn',
    'update ledger.turn set single = single',
    'insert into ledger.abandoned (attempt) values (gen_random_uuid())',
    'alter table ledger.events disable trigger all',
    'drop table ledger.events',
    'create table ledger.mine ()',
  ])('a running ledger lacks the right: %s', async (change) => {
    await expect(runtime.query(change)).rejects.toMatchObject({ code: '42501' });
  });

  test('nothing was changed', async () => {
    const { rows } = await runtime.query('select position from ledger.events order by position');
    expect(rows).toEqual([{ position: '1' }, { position: '2' }, { position: '3' }]);
  });

  test('nobody but the running ledger may append', async () => {
    const { rows } = await database.owner.query(
      `select proname, has_function_privilege('public', oid, 'execute') as everybody,
              has_function_privilege('ledger_runtime', oid, 'execute') as runtime
         from pg_proc where pronamespace = 'ledger'::regnamespace order by proname`,
    );
    expect(rows).toEqual([
      { proname: 'append_events', everybody: false, runtime: true },
      { proname: 'position_at', everybody: false, runtime: true },
      { proname: 'refuse_change', everybody: false, runtime: false },
    ]);
  });

  test('every session of a running ledger has that role and is durable', async () => {
    const store = database.open();
    await database.owner
      .query(`alter database ${new URL(database.url.replace('@/', '@x/')).pathname.slice(1)}
      set synchronous_commit = off`);
    const pools = store as unknown as { readers: pg.Pool };
    const { rows } = await pools.readers.query(
      `select current_user as role, current_setting('synchronous_commit') as commits`,
    );
    expect(rows).toEqual([{ role: 'ledger_runtime', commits: 'on' }]);
    await store.close();
  });

  test('a session that sees only what was committed before it began is refused', async () => {
    await runtime.query('begin isolation level repeatable read');
    await expect(
      runtime.query('select ledger.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', [
        '00000000-0000-4000-8000-000000000001',
        ...[[], [], [], [], [], [], [], [1], [], Buffer.alloc(0)],
      ]),
    ).rejects.toThrow('read committed only');
    await runtime.query('rollback');
  });

  test('the small categories are read from their own index', async () => {
    const plan = async (where: string): Promise<string> => {
      const { rows } = await database.owner
        .query(
          `set enable_seqscan = off; set enable_bitmapscan = off; explain select * from ledger.events where position > 1 and ${where}
           order by position limit 10`,
        )
        .then((results) => (results as unknown as pg.QueryResult[])[2] as pg.QueryResult);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    };
    expect(
      await plan(`stream not like 'subject-%' and stream not like 'access-%'
        and split_part(stream, '-', 1) = any('{purpose}')`),
    ).toContain('Index Scan using small_categories');
  });
});

test('databases of one cluster can be migrated at the same time', async () => {
  const databases = await Promise.all(Array.from({ length: 6 }, () => freshDatabase()));
  await Promise.all(databases.map(({ url }) => migrateLedger(url)));
  for (const { url } of databases) {
    const store = new PostgresLedger({ connectionString: url });
    expect(await store.head()).toBeUndefined();
    await store.close();
  }
  await Promise.all(databases.map(({ drop }) => drop()));
});

test('an owner who is no superuser can migrate, and append', async () => {
  const { url, name, drop } = await freshDatabase();
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const owner = `owner_${name.slice(-12)}`;
  await admin.query(`create role ${owner} login createrole`);
  await admin.query(`alter database ${name} owner to ${owner}`);
  await admin.query(`do $$ begin create role ledger_runtime nologin nobypassrls;
    exception when duplicate_object then null; end $$`);
  await admin.query(`grant ledger_runtime to ${owner} with admin option`);
  const ownersUrl = url.replace('postgres://postgres@', `postgres://${owner}@`);
  await migrateLedger(ownersUrl);
  const store = new PostgresLedger({ connectionString: ownersUrl });
  const stream = sampleStream();
  await store.append({ stream, expected: { kind: 'none' }, events: sampleEvents(stream, 2) });
  expect(await store.read(stream)).toHaveLength(2);
  await store.close();
  await admin.end();
  await drop();
});
