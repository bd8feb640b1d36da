import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { sql } from 'kysely';
import {
  isDatabaseUnavailable,
  kyselyOn,
  openPool,
  RUNTIME_ROLE,
} from '#core/platform/database.js';
import { migrate, MigrationFailed, type MigrationStep } from '#core/platform/migrate.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { until } from '../support/until.js';

jest.setTimeout(60_000);

let database: FreshDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const open = (more: object = {}) =>
  openPool({
    connectionString: database.url,
    applicationName: 'spec',
    onError: () => undefined,
    ...more,
  });

const step = (name: string, statement: string): MigrationStep => ({
  name,
  up: async (db) => {
    await sql.raw(statement).execute(db);
  },
});

describe('migrate', () => {
  it('runs each step once, also from several processes at once', async () => {
    const lists = {
      first: [
        step('0001-a', 'CREATE TABLE a (n bigint); INSERT INTO a VALUES (9007199254740993)'),
        step('0002-grant', `GRANT SELECT ON a TO ${RUNTIME_ROLE}`),
      ],
      second: [step('0001-a', 'CREATE TABLE b ()')],
    };
    const dbs = Array.from({ length: 4 }, () => kyselyOn<unknown>(open()));
    const reports = await Promise.all(dbs.map((db) => migrate(db, lists)));
    expect(reports.flat().sort()).toEqual(['first/0001-a', 'first/0002-grant', 'second/0001-a']);
    const [db] = dbs as [(typeof dbs)[0]];
    expect(await migrate(db, lists)).toEqual([]);
    const later = { ...lists, first: [...lists.first, step('0003-c', 'CREATE TABLE c ()')] };
    expect(await migrate(db, later)).toEqual(['first/0003-c']);
    await Promise.all(dbs.map((one) => one.destroy()));
  });

  it('changes nothing where a step fails, and names it', async () => {
    const db = kyselyOn<unknown>(open());
    const failing = { third: [step('0001-a', 'CREATE TABLE t ()'), step('0002-b', 'nonsense')] };
    await expect(migrate(db, failing)).rejects.toThrow(MigrationFailed);
    await expect(migrate(db, failing)).rejects.toThrow('third/0002-b');
    await expect(sql`SELECT FROM t`.execute(db)).rejects.toThrow('does not exist');
    await db.destroy();
  });

  it('is not stopped by tables of others that go while it looks', async () => {
    const [migrating, making] = [kyselyOn(open()), open()];
    let isOver = false;
    const comeAndGo = async (name: string) => {
      for (; !isOver;) {
        await making.query(`create schema ${name}; create table ${name}.t (a int, b int, c int)`);
        await making.query(`drop schema ${name} cascade`);
      }
    };
    const others = ['come', 'go', 'pass'].map(comeAndGo);
    try {
      for (let n = 0; n < 30; n++) expect(await migrate(migrating, { nothing: [] })).toEqual([]);
    } finally {
      isOver = true;
      await Promise.all(others);
      await migrating.destroy();
      await making.end();
    }
  });
});

describe('a pool', () => {
  it('acts in the runtime role, with time limits, and keeps int8 as text', async () => {
    const pool = open({ role: RUNTIME_ROLE, statementTimeout: 200 });
    expect((await pool.query('SELECT current_user AS role, n FROM a')).rows).toEqual([
      { role: RUNTIME_ROLE, n: '9007199254740993' },
    ]);
    await expect(pool.query('DELETE FROM a')).rejects.toMatchObject({ code: '42501' });
    const slow = await pool.query('SELECT pg_sleep(5)').catch((error: unknown) => error);
    expect(slow).toMatchObject({ code: '57014' });
    expect(isDatabaseUnavailable(slow)).toBe(true);
    await pool.end();
  });

  it('survives the loss of its sessions', async () => {
    const errors: Error[] = [];
    const pool = open({ onError: (error: Error) => errors.push(error) });
    const other = open();
    await pool.query('SELECT 1');
    await other.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
      [database.name],
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(errors.length).toBeGreaterThan(0);
    expect(await pool.query('SELECT 1')).toMatchObject({ rowCount: 1 });
    await pool.end();
    await other.end();
  });

  it('gives up sessions that are not answered, also those that nobody uses', async () => {
    const { proxy, url } = await FaultProxy.before(database.url);
    const pool = open({ connectionString: url, statementTimeout: 0 });
    const db = kyselyOn<unknown>(pool);
    try {
      await Promise.all(Array.from({ length: 3 }, () => pool.query('SELECT pg_sleep(0.1)')));
      expect(pool.idleCount).toBe(3);
      for (const fault of ['silent', 'blackhole'] as const) {
        proxy.set(fault);
        // Two statements of a transaction: what follows the lost answer is not sent to the same session.
        const lost = await db
          .transaction()
          .execute(() => sql`SELECT 1`.execute(db))
          .catch((error: unknown) => error);
        expect(isDatabaseUnavailable(lost)).toBe(true);
        await until('none is left', () => pool.totalCount === 0);
        proxy.set('none');
        expect(await pool.query('SELECT 1')).toMatchObject({ rowCount: 1 });
      }
      // The answer alone is lost: the database is there, and says that it has answered.
      proxy.set('silent', 'SELECT 77');
      const { struck } = proxy;
      const unheard = pool.query('SELECT 77').catch((error: unknown) => error);
      await until('it is sent', () => proxy.struck > struck);
      proxy.set('none');
      expect(isDatabaseUnavailable(await unheard)).toBe(true);
    } finally {
      await pool.end();
      await proxy.close();
    }
  });

  it('waits for a statement that takes its time, however long', async () => {
    const pool = open({ statementTimeout: 0 });
    expect(await pool.query('SELECT pg_sleep(7)')).toMatchObject({ rowCount: 1 });
    await pool.end();
  });

  it('does not use a session that can not take the role', async () => {
    const pool = open({ role: 'nobody_there' });
    await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: '22023' });
    await pool.end();
  });

  it('says when the database is away', async () => {
    const pool = openPool({
      connectionString: 'postgresql://x@127.0.0.1:1/x',
      applicationName: 'spec',
      onError: () => undefined,
    });
    const error = await pool.query('SELECT 1').catch((reason: unknown) => reason);
    expect(isDatabaseUnavailable(error)).toBe(true);
    expect(isDatabaseUnavailable(new TypeError('x'))).toBe(false);
    expect(isDatabaseUnavailable(Object.assign(new Error('x'), { code: '23505' }))).toBe(false);
    await pool.end();
  });
});
