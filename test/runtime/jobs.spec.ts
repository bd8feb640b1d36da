import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { migrate } from '#core/platform/migrate.js';
import { platformMigrations } from '#core/platform/migrations.js';
import { connect } from '../support/connect.js';
import { type FreshDatabase, freshDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import type { JobSettings } from './jobs-process.js';

jest.setTimeout(60_000);

/** Milliseconds. */
const LEASE = 600;

describe('a job that several processes could do', () => {
  let database: FreshDatabase;
  let owner: Kysely<unknown>;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    database = await freshDatabase();
    owner = connect(database.url, { asOwner: true });
    await migrate(owner, { platform: platformMigrations });
    await sql`create table public.steps
      (place bigint generated always as identity, by text, step integer)`.execute(owner);
    await sql`grant insert on public.steps to public`.execute(owner);
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map(kill));
    await owner.destroy();
    await database.drop();
  });

  function start(settings: Omit<JobSettings, 'url' | 'leaseMilliseconds'>): ChildProcess {
    const loader = join(import.meta.dirname, '..', 'support', 'typescript.mjs');
    const given = JSON.stringify({ url: database.url, leaseMilliseconds: LEASE, ...settings });
    const program = join(import.meta.dirname, 'jobs-process.ts');
    const child = spawn(process.execPath, ['--import', loader, program, given], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    return child;
  }

  async function steps(): Promise<readonly string[]> {
    const { rows } = await sql<{ by: string }>`
      select by from public.steps order by place`.execute(owner);
    return rows.map(({ by }) => by);
  }
  const countOf = async (by: string) => (await steps()).filter((one) => one === by).length;

  /** The second one is in the middle of the job when the first one, which slept through its lease, wakes. */
  async function wakeTheFirst(careless: boolean): Promise<void> {
    const first = start({ by: 'first', sleepsBefore: 3, careless });
    await until('the first begins', async () => (await countOf('first')) === 2);
    start({ by: 'second', careless });
    await until('the second takes over', async () => (await countOf('second')) >= 2);
    first.kill('SIGCONT');
    await until('the second is done', async () => (await countOf('second')) >= 30);
  }

  test('when who does it was frozen past its lease, then another does it, and nothing is done twice', async () => {
    await wakeTheFirst(false);
    const done = await steps();
    expect(done.slice(0, 32)).toEqual([...Array(2).fill('first'), ...Array(30).fill('second')]);
  });

  test('canary: who does not ask does it beside the other', async () => {
    await wakeTheFirst(true);
    expect((await steps()).slice(2, 32)).toContain('first');
  });

  test('when who does it is killed, then another does it once the lease is over', async () => {
    const first = start({ by: 'first' });
    await until('the first begins', async () => (await countOf('first')) >= 2);
    start({ by: 'second' });
    await kill(first);
    const done = await countOf('first');
    await until('the second does it', async () => (await countOf('second')) >= 30);
    expect(await countOf('first')).toBe(done);
  });

  test('when it was done, then nobody does it before its time, and then one does', async () => {
    start({ by: 'one' });
    start({ by: 'one' });
    await until('it was done twice', async () => (await countOf('one')) >= 60);
    const { rows } = await sql<{ ok: boolean }>`
      select epoch = 2 as ok from platform.jobs where name = 'steps'`.execute(owner);
    expect(rows).toEqual([{ ok: true }]);
  });

  test('when the clock of the database was set back, then what lies ahead of it counts for nothing', async () => {
    await sql`insert into platform.jobs values
      ('steps', 'gone', 7, now() + interval '1 day', now() + interval '1 day')`.execute(owner);
    start({ by: 'one' });
    await until('it is done', async () => (await countOf('one')) > 0);
  });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
