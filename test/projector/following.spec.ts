import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import { checkpointOf, readCheckpoints } from '#core/projector/checkpoint.js';
import { until } from '../support/until.js';
import { connect } from '../support/connect.js';
import { Writer } from './support/load.js';
import { someEvents } from './support/table-log.js';
import { doubled, foldTally, tally, tallyRows } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(60_000);

describe('a projection', () => {
  let w: World;
  beforeEach(async () => void (w = await world()));
  afterEach(() => w.close());

  test('gives the rows that the fold of the log gives, from the first event and as events come', async () => {
    await w.log.append(someEvents(3_210));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    expect(await projector.waitFor(await headOf(w.log), ['tally'], { timeoutMs: 10_000 })).toBe(
      true,
    );
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));

    for (let n = 0; n < 40; n++) {
      const position = await w.log.append(someEvents(7, 50, 3_210 + n * 7));
      expect(await projector.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    }
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
    expect(w.notices.filter(({ kind }) => kind !== 'took-over')).toEqual([]);
  });

  test('goes on after a restart where it was, and gives its lease back at the stop', async () => {
    await w.log.append(someEvents(500));
    const first = w.projector({ projections: [tally()], leaseMilliseconds: 60_000 });
    first.start();
    await first.waitFor('400' as Position, ['tally'], { timeoutMs: 5_000 });
    await first.stop();
    expect((await first.checkpoints()).get('tally')?.owner).toBeUndefined();

    await w.log.append(someEvents(500, 50, 500));
    const second = w.projector({ projections: [tally()] });
    second.start();
    expect(await second.waitFor('1000' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  });

  test('moves over what does not matter to it: at once where somebody waits, else within two seconds', async () => {
    await w.log.append(someEvents(9));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor('9' as Position, ['tally'], { timeoutMs: 5_000 });

    const other = { stream: 'access-2026', type: 'Looked' };
    const began = Date.now();
    const position = await w.log.append([other]);
    expect(await projector.waitFor(position, ['tally'], { timeoutMs: 2_000 })).toBe(true);
    expect(Date.now() - began).toBeLessThan(500);

    const later = await w.log.append([other, other]);
    await until(
      'the checkpoint moves',
      async () => (await projector.checkpoints()).get('tally')?.position === later,
      3_000,
    );
    const checkpoint = (await projector.checkpoints()).get('tally');
    expect(checkpoint?.anchor).toEqual({ position: later, eventId: (await w.log.at(later))?.id });
  });

  test('is proven by the event that it passed over last, and does not ask the log for it', async () => {
    await w.log.append(someEvents(9));
    const projector = w.projector({ projections: [{ ...tally(), concerns: () => false }] });
    projector.start();
    await projector.waitFor('9' as Position, ['tally'], { timeoutMs: 5_000 });
    const at = jest.spyOn(w.log, 'at');
    const position = await w.log.append(someEvents(3, 50, 9));
    await until(
      'the checkpoint moves',
      async () => (await projector.checkpoints()).get('tally')?.position === position,
      10_000,
    );
    expect(at).not.toHaveBeenCalled();
    at.mockRestore();
    const checkpoint = (await projector.checkpoints()).get('tally');
    expect(checkpoint?.anchor).toEqual({ position, eventId: (await w.log.at(position))?.id });
  });

  test('does not poll hot while nothing happens', async () => {
    await w.log.append(someEvents(9));
    const projector = w.projector({ projections: [tally()], leaseMilliseconds: 10_000 });
    projector.start();
    await projector.waitFor('9' as Position, ['tally'], { timeoutMs: 5_000 });
    const follow = jest.spyOn(w.log, 'readAll');
    await until('the first renewal', () => w.log.reads > 0);
    const statements = await writesOf();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await writesOf()) - statements).toBeLessThanOrEqual(3);
    follow.mockRestore();

    async function writesOf() {
      const { rows } = await sql<{ writes: number }>`select pg_stat_get_xact_tuples_updated(oid)
        + pg_stat_get_tuples_updated(oid) as writes from pg_class
        where oid = 'projector.checkpoints'::regclass`.execute(w.db);
      return Number(rows[0]?.writes);
    }
  });

  test('knows that it is up to date while nothing is recorded', async () => {
    await w.log.append(someEvents(5));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor('5' as Position, ['tally'], { timeoutMs: 5_000 });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const behind = await sql<{ behind_seconds: number; usable: boolean; position: string }>`
      with checkpoint as ${checkpointOf('tally', 1)}
      select checkpoint.* from checkpoint left join read_models.tally on true limit 1`.execute(
      w.db,
    );
    expect(behind.rows[0]).toMatchObject({ usable: true, position: '5' });
    expect(behind.rows[0]?.behind_seconds).toBeLessThan(2.5);
    expect(await projector.status()).toMatchObject([{ status: 'running', laggingSeconds: 0 }]);
  });

  test('knows under load how far behind it is: little, or as long as it lags', async () => {
    let slow = 0;
    const projector = w.projector({ projections: [tally({ after: () => sleep(slow) })] });
    projector.start();
    const writer = new Writer(w, 50);
    await sleep(2_500);
    const behind = async () => (await projector.checkpoints()).get('tally')?.behindSeconds;
    for (let n = 0; n < 20; n++) {
      expect(await behind()).toBeLessThan(2);
      await sleep(100);
    }
    slow = 3_000;
    await sleep(3_500);
    expect(await behind()).toBeGreaterThan(2);
    slow = 0;
    await writer.stop();
    await until('it catches up', async () => ((await behind()) ?? Infinity) < 2);
  });

  test('is taken over, and known to be up to date again, after the clock of the database was set back', async () => {
    await w.log.append(someEvents(5));
    const first = w.projector({ projections: [tally()] });
    first.start();
    await first.waitFor('5' as Position, ['tally'], { timeoutMs: 5_000 });
    await first.stop();
    const day = sql`clock_timestamp() + interval '1 day'`;
    await sql`update projector.checkpoints set owner = 'killed', updated_at = ${day},
      lease_until = ${day}, caught_up_at = ${day}`.execute(w.owner);
    const second = w.projector({ projections: [tally()] });
    const checkpoint = async () => (await second.checkpoints()).get('tally');
    expect((await checkpoint())?.behindSeconds).toBeUndefined();
    second.start();
    await until('it is up to date', async () => {
      return ((await checkpoint())?.behindSeconds ?? Infinity) < 1;
    });
  });

  test('is not usable where it is of another version, nor there where it never was', async () => {
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await until(
      'the tables',
      async () => (await projector.checkpoints()).get('tally')?.version === 1,
    );
    const ask = async (name: string, version: number) =>
      (await sql`select usable from ${checkpointOf(name, version)} as c`.execute(w.db)).rows;
    expect(await ask('tally', 2)).toEqual([{ usable: false }]);
    expect(await ask('tally', 1)).toEqual([{ usable: true }]);
    expect(await ask('other', 1)).toEqual([]);
  });

  test('can be waited for in a process that runs no projector', async () => {
    await w.log.append(someEvents(100));
    const worker = w.projector({ projections: [tally()] });
    const elsewhere = w.projector({ projections: [tally()] });
    expect(await elsewhere.waitFor('100' as Position, ['tally'], { timeoutMs: 100 })).toBe(false);
    worker.start();
    expect(await elsewhere.waitFor('99' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    for (const one of [worker, elsewhere, w.projector({ projections: [tally()] })]) {
      expect(await one.waitFor('99' as Position, ['tally'], { timeoutMs: 0 })).toBe(true);
      expect(await one.waitFor('101' as Position, ['tally'], { timeoutMs: 0 })).toBe(false);
    }
    for (let n = 0; n < 10; n++) {
      const position = await w.log.append(someEvents(3));
      const began = Date.now();
      expect(await elsewhere.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
      expect(Date.now() - began).toBeLessThan(1_500);
    }
    const abort = new AbortController();
    const waiting = elsewhere.waitFor('999999' as Position, ['tally'], {
      timeoutMs: 60_000,
      signal: abort.signal,
    });
    abort.abort();
    expect(await waiting).toBe(false);
  });

  test('goes on after every session was ended by the database', async () => {
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    for (let n = 0; n < 5; n++) {
      const position = await w.log.append(someEvents(200, 50, n * 200));
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(w.owner);
      const elsewhere = connect(w.url);
      await until('all is applied', async () => {
        const row = (await readCheckpoints(elsewhere)).get('tally');
        return row?.position === position;
      });
      await elsewhere.destroy();
    }
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  });
});

describe('a checkpoint', () => {
  let w: World;
  beforeEach(async () => void (w = await world()));
  afterEach(() => w.close());

  async function projectedTo(position: string): Promise<void> {
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor(position as Position, ['tally'], { timeoutMs: 5_000 });
    await projector.stop();
  }

  async function refusal() {
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await until('it stops', async () => (await projector.status())[0]?.status === 'stopped');
    return projector;
  }

  test.each([
    ['its event is missing', 'delete from test_log.events where position > 60'],
    [
      'another event is in its place',
      `update test_log.events set id = 'evt_0' where position = 98`,
    ],
    ['the ledger is another one', `update test_log.events set id = 'evt_0' where position = 1`],
    ['the log is empty', 'delete from test_log.events'],
  ])('is refused where %s', async (_, change) => {
    await w.log.append(someEvents(98));
    await projectedTo('98');
    await sql.raw(change).execute(w.owner);
    if (change.startsWith('delete'))
      await sql`update test_log.head set position =
        (select coalesce(max(position), 0) from test_log.events)`.execute(w.owner);
    const projector = await refusal();
    expect(await projector.status()).toMatchObject([
      { status: 'stopped', error: { position: '98', code: 'checkpoint-not-in-log' } },
    ]);
    expect(await projector.waitFor('99' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(false);
  });

  test('of a log that was cut is replaced by a rebuild', async () => {
    await w.log.append(someEvents(98));
    await projectedTo('98');
    await sql`delete from test_log.events where position > 60`.execute(w.owner);
    await sql`update test_log.head set position = 60`.execute(w.owner);
    const projector = await refusal();
    await projector.rebuild(['tally']);
    await until('it runs', async () => (await projector.status())[0]?.status === 'running');
    await w.log.append(someEvents(10, 50, 500));
    expect(await projector.waitFor('70' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
  });
});
