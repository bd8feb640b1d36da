import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { type Budget, Budgets, type DrawTokens, type Verdict } from '#core/platform/budgets.js';
import { forgetFullBudgets, postgresBudgets } from '#core/platform/budgets.postgres.js';
import { migrate } from '#core/platform/migrate.js';
import { platformMigrations } from '#core/platform/migrations.js';
import { connect } from '../support/connect.js';
import { type FreshDatabase, freshDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const digestOf = (name: string) => createHash('sha256').update(name).digest();

describe('a budget that processes share', () => {
  let database: FreshDatabase;
  let db: Kysely<unknown>;
  let draw: DrawTokens;
  let serial = 0;

  beforeAll(async () => {
    database = await freshDatabase();
    const owner = connect(database.url, { asOwner: true });
    await migrate(owner, { platform: platformMigrations });
    await owner.destroy();
    db = connect(database.url);
    draw = postgresBudgets(db, digestOf);
  });
  afterAll(async () => {
    await db.destroy();
    await database.drop();
  });

  const take = async (process: Budgets, of: Budget) => process.take(of);
  const budget = (calls: number): Budget => ({ name: `key ${++serial}`, calls });
  const admittedIn = (verdicts: readonly Verdict[]) =>
    verdicts.filter(({ admitted }) => admitted).length;

  /** Calls at once to each of some processes; what is refilled meanwhile, besides. */
  async function admitted(shared: Budget, processes: number, calls: number) {
    const began = performance.now();
    const verdicts = await Promise.all(
      Array.from({ length: processes }, () => new Budgets(draw)).flatMap((process) =>
        Array.from({ length: calls }, () => take(process, shared)),
      ),
    );
    const refilled = ((performance.now() - began) / 60_000) * shared.calls;
    return { count: admittedIn(verdicts), refilled, verdicts };
  }

  test('admits as many calls as it has, whoever gets them, and what is refilled meanwhile', async () => {
    const { count, refilled } = await admitted(budget(50), 3, 60);
    expect(count).toBeGreaterThanOrEqual(50);
    expect(count).toBeLessThanOrEqual(50 + Math.ceil(refilled));
  });

  test('canary: budgets of each process for itself admit three times as many', async () => {
    const verdicts = [1, 2, 3].map(async (process) => {
      const alone = postgresBudgets(db, (name) => digestOf(`${process} ${name}`));
      const budgets = new Budgets(alone);
      const one = { name: 'alone', calls: 50 };
      return admittedIn(await Promise.all(Array.from({ length: 60 }, () => take(budgets, one))));
    });
    const counts = await Promise.all(verdicts);
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(150);
  });

  test('that is large is asked for in portions: a call seldom asks, and no more are admitted than there are', async () => {
    let asked = 0;
    const counting: DrawTokens = (draws) => ((asked += draws.length), draw(draws));
    const process = new Budgets(counting);
    const one = budget(60_000);
    const began = performance.now();
    let count = 0;
    for (;;) {
      const verdict = process.take(one);
      if (!(verdict instanceof Promise) && !verdict.admitted) break;
      if ((verdict instanceof Promise ? await verdict : verdict).admitted) count++;
    }
    const refilled = performance.now() - began;
    expect(count).toBeGreaterThanOrEqual(60_000);
    expect(count).toBeLessThanOrEqual(60_000 + Math.ceil(refilled));
    expect(asked).toBeLessThanOrEqual(600 + (count - 60_000) / 50 + 1);

    const [empty, before] = [performance.now(), asked];
    while (performance.now() < empty + 500) {
      await process.take(one);
      await sleep(2);
    }
    const meanwhile = performance.now() - empty;
    expect(asked - before).toBeGreaterThan(0);
    expect(asked - before).toBeLessThanOrEqual(meanwhile / 50 + 1);
  });

  test('says truly when the next call is admitted', async () => {
    const one = budget(60);
    const { verdicts } = await admitted(one, 1, 65);
    const { waitMs } = verdicts.find(({ admitted }) => !admitted) as Verdict;
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(1_000);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    const process = new Budgets(draw);
    expect((await process.take(one)).admitted).toBe(true);
    expect((await process.take(one)).admitted).toBe(false);
  });

  test('is refused without asking again while it is known to be empty', async () => {
    const one = budget(1);
    let asked = 0;
    const process = new Budgets((draws) => (asked++, draw(draws)));
    expect((await process.take(one)).admitted).toBe(true);
    expect((await process.take(one)).admitted).toBe(false);
    for (let call = 0; call < 100; call++)
      expect(process.take(one)).toMatchObject({ admitted: false });
    expect(asked).toBe(2);
    expect(process.isEmpty(one)).toMatchObject({ admitted: false });
  });

  test('is not stuck when the clock of the database was set back', async () => {
    const one = budget(600);
    await admitted(one, 1, 600);
    await sql`update platform.call_budgets set filled_at = now() + interval '1 day'`.execute(db);
    await until('it fills', async () => (await new Budgets(draw).take(one)).admitted, 3_000);
  });

  test('that can not be asked for limits nobody', async () => {
    const broken = new Budgets(() => Promise.reject(new Error('away')));
    const silent = new Budgets(() => new Promise(() => undefined));
    for (const process of [broken, silent]) {
      const one = budget(1);
      const verdicts = await Promise.all([1, 2, 3].map(() => take(process, one)));
      expect(admittedIn(verdicts)).toBe(3);
    }
  });

  test('is kept under a name that says nothing, and forgotten when it is full again', async () => {
    await new Budgets(draw).take({ name: 'public 192.0.2.7', calls: 5 });
    const kept = async () => {
      const { rows } = await sql<{ all: string }>`
        select string_agg(b::text, ' ') as all from platform.call_budgets b`.execute(db);
      return rows[0]?.all ?? '';
    };
    expect(await kept()).toContain(digestOf('public 192.0.2.7').toString('hex'));
    expect(await kept()).not.toContain(Buffer.from('192.0.2.7').toString('hex'));
    await sql`update platform.call_budgets set filled_at = now() - interval '2 minutes'`.execute(
      db,
    );
    await forgetFullBudgets(db);
    expect(await kept()).toBe('');
  });
});
