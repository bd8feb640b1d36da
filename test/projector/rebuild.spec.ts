import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import { inOneSnapshot, readCheckpoints } from '#core/projector/checkpoint.js';
import type { RebuildProgress } from '#core/projector/rebuild.js';
import { until } from '../support/until.js';
import { connect, withoutTransaction } from '../support/connect.js';
import { type Child, startWorker } from './support/child.js';
import { Readers, Writer } from './support/load.js';
import { someEvents, TableLog } from './support/table-log.js';
import { doubled, foldTally, tally, tallyRows } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(1_800_000);

/** Of the log that is rebuilt under load: REBUILD_EVENTS=1000000 takes some minutes. */
const EVENTS = Number(process.env.REBUILD_EVENTS ?? 20_000);

describe('a rebuild', () => {
  let w: World;
  beforeEach(async () => void (w = await world()));
  afterEach(() => w.close());

  async function liveWith(count: number) {
    await w.log.append(someEvents(count));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    expect(
      await projector.waitFor(String(count) as Position, ['tally'], { timeoutMs: 20_000 }),
    ).toBe(true);
    return projector;
  }

  async function schemas(): Promise<string[]> {
    const { rows } = await sql<{ name: string }>`select nspname as name from pg_namespace
      where nspname like 'rebuild%'`.execute(w.db);
    return rows.map(({ name }) => name);
  }

  test('replaces rows that went wrong by those that the log gives, and the live runner goes on', async () => {
    const projector = await liveWith(1_000);
    await sql`update read_models.tally set count = 0`.execute(w.db);
    const seen: RebuildProgress[] = [];
    const switched = await projector.rebuild(['tally'], {
      limit: 100,
      onProgress: (progress) => seen.push(progress),
    });
    expect(switched).toEqual(new Map([['tally', '1000']]));
    expect(seen.map(({ done }) => done)).toEqual(
      seen.map(({ done }) => done).sort((a, b) => a - b),
    );
    expect(seen.at(0)).toMatchObject({ name: 'tally', phase: 'filling', done: 100 });
    expect(seen.at(-1)).toMatchObject({ phase: 'switched', done: 900, share: 1 });
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await schemas()).toEqual([]);
    expect((await readCheckpoints(w.db, { table: 'rebuilds' })).size).toBe(0);

    const position = await w.log.append(someEvents(30, 50, 1_000));
    expect(await projector.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  });

  test('happens by itself where the version changed, and the status says so until then', async () => {
    await (await liveWith(1_000)).stop();
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const next = w.projector({ projections: [tally({ version: 2, before: () => held })] });
    next.start();
    await until('it rebuilds', async () => (await next.status())[0]?.rebuild?.owner !== undefined);
    expect(await next.status()).toMatchObject([{ status: 'rebuilding', version: 1 }]);
    expect((await next.checkpoints()).get('tally')?.status).toBe('rebuilding');
    expect(await next.waitFor('900' as Position, ['tally'], { timeoutMs: 200 })).toBe(false);
    go?.();
    expect(await next.waitFor('1000' as Position, ['tally'], { timeoutMs: 10_000 })).toBe(true);
    expect(await next.status()).toMatchObject([{ status: 'running', version: 2 }]);
    const { rows } = await sql`select distinct version from read_models.tally`.execute(w.db);
    expect(rows).toEqual([{ version: 2 }]);

    // Older code that is still there leaves the newer tables alone.
    const older = w.projector({ projections: [tally({ version: 1 })] });
    older.start();
    await until('it stands back', () => w.notices.some(({ kind }) => kind === 'outdated'));
    expect((await older.checkpoints()).get('tally')).toMatchObject({
      version: 2,
      status: 'running',
    });
  });

  test('lets an older process keep the live rows going until the switch', async () => {
    const older = await liveWith(500);
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const newer = w.projector({ projections: [tally({ version: 2, before: () => held })] });
    newer.start();
    await until('it rebuilds', async () => (await newer.status())[0]?.rebuild?.owner !== undefined);
    const position = await w.log.append(someEvents(30, 50, 500));
    expect(await older.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    go?.();
    expect(await newer.waitFor(position, ['tally'], { timeoutMs: 10_000 })).toBe(true);
    const later = await w.log.append(someEvents(30, 50, 530));
    expect(await newer.waitFor(later, ['tally'], { timeoutMs: 10_000 })).toBe(true);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  });

  test('that is cancelled keeps what it has, and the next one goes on from there', async () => {
    const projector = await liveWith(1_000);
    const abort = new AbortController();
    const rebuilding = projector.rebuild(['tally'], {
      limit: 100,
      signal: abort.signal,
      onProgress: ({ done }) => (done >= 300 ? abort.abort(new Error('enough')) : undefined),
    });
    await expect(rebuilding).rejects.toThrow('enough');
    expect(await projector.status()).toMatchObject([
      { status: 'running', rebuild: { applied: 300, owner: undefined, error: undefined } },
    ]);
    const seen: number[] = [];
    await projector.rebuild(['tally'], { limit: 100, onProgress: ({ done }) => seen.push(done) });
    expect(seen[0]).toBe(400);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));

    const stopped = new AbortController();
    stopped.abort();
    await expect(projector.rebuild(['tally'], { signal: stopped.signal })).rejects.toThrow();
  });

  test('is one at a time', async () => {
    const projector = await liveWith(300);
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const slow = w.projector({ projections: [tally({ before: () => held })] });
    const first = slow.rebuild(['tally']);
    await until('it began', async () => (await schemas()).length > 0);
    const second = projector.rebuild(['tally']);
    await expect(second.finally(go)).rejects.toThrow('being rebuilt by another process');
    await first;
    await projector.rebuild(['tally']);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
  });

  test('that meets an event it can not apply leaves the live rows, and goes on once it can', async () => {
    const projector = await liveWith(200);
    await projector.stop();
    const position = await w.log.append([{ stream: 'subject-bad', type: 'Poison' }]);
    await expect(projector.rebuild(['tally'], { limit: 50 })).rejects.toMatchObject({
      name: 'MustStop',
      position,
      code: 'apply-failed',
    });
    expect(await projector.status()).toMatchObject([
      { position: '200', rebuild: { applied: 180, error: { position, code: 'apply-failed' } } },
    ]);
    await sql`update test_log.events set type = 'Mended' where position = ${position}`.execute(
      w.owner,
    );
    await projector.rebuild(['tally']);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
  });

  test('that a version needs and that must stop is visible, and is resumed', async () => {
    const older = await liveWith(50);
    await older.stop();
    const position = await w.log.append([{ stream: 'subject-bad', type: 'Poison' }]);
    const newer = w.projector({ projections: [tally({ version: 2 })] });
    newer.start();
    await until('it stops', async () => (await newer.status())[0]?.status === 'stopped', 5_000);
    expect(await newer.status()).toMatchObject([{ version: 1, error: { position } }]);
    await sql`update test_log.events set type = 'Mended' where position = ${position}`.execute(
      w.owner,
    );
    expect(await newer.resume('tally')).toBe(true);
    expect(await newer.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
  });

  test('can be the first thing that happens', async () => {
    await w.log.append(someEvents(100));
    const projector = w.projector({ projections: [tally(), tally({ name: 'other' })] });
    await projector.rebuild(['tally', 'other']);
    expect(await tallyRows(w.db, 'other')).toEqual(foldTally(await everything(w.log)));
    projector.start();
    const position = await w.log.append(someEvents(100, 50, 100));
    expect(await projector.waitFor(position, ['tally', 'other'], { timeoutMs: 5_000 })).toBe(true);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
  });

  test.each(['drop table read_models.tally', 'drop schema read_models cascade'])(
    'brings back what somebody dropped: %s',
    async (drop) => {
      const first = await liveWith(300);
      await first.stop();
      await sql.raw(drop).execute(w.owner);
      const projector = w.projector({ projections: [tally()] });
      projector.start();
      const position = await w.log.append(someEvents(30, 50, 300));
      expect(await projector.waitFor(position, ['tally'], { timeoutMs: 10_000 })).toBe(true);
      expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
      expect(await projector.status()).toMatchObject([{ status: 'running', laggingSeconds: 0 }]);

      // And again, while it runs.
      await sql.raw(drop).execute(w.owner);
      const later = await w.log.append(someEvents(30, 50, 330));
      await until('it is back', async () => {
        return (await projector.checkpoints()).get('tally')?.position === later;
      });
      expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
      expect(w.notices).toContainEqual(
        expect.objectContaining({
          kind: 'stopped',
          message: expect.stringContaining('42P01') as unknown,
        }),
      );
    },
  );

  test('ends with its projector, and keeps what it has', async () => {
    await w.log.append(someEvents(1_000));
    const projector = w.projector({ projections: [tally({ before: () => sleep(20) })] });
    let done = 0;
    const rebuilding = projector.rebuild(['tally'], {
      limit: 50,
      onProgress: (progress) => (done = progress.done),
    });
    await Promise.all([
      expect(rebuilding).rejects.toThrow('the projector stops'),
      until('some of it is done', () => done > 100).then(() => projector.stop()),
    ]);
    expect((await projector.status())[0]?.rebuild).toMatchObject({
      applied: done,
      owner: undefined,
    });
  });

  test('says so where a projection creates what can not be moved', async () => {
    const { create, ...rest } = tally();
    const odd = {
      ...rest,
      create: async (tx: Parameters<typeof create>[0]) => {
        await create(tx);
        await sql`create type mood as enum ('good')`.execute(tx);
      },
    };
    const projector = w.projector({ projections: [odd] });
    await expect(projector.rebuild(['tally'])).rejects.toMatchObject({
      code: 'switch-failed',
      message: 'SQLSTATE 2BP01',
    });
    const other = w.projector({ projections: [{ ...odd, name: 'other' }] });
    other.start();
    await until('it stops', async () => (await other.status())[0]?.status === 'stopped');
    expect(await other.status()).toMatchObject([{ version: 0, error: { code: 'create-failed' } }]);
  });

  test('waits with the switch for a long reader, and holds up no other', async () => {
    const projector = await liveWith(500);
    const session = connect(w.url);
    let release: (() => void) | undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const reading = session.transaction().execute(async (tx) => {
      await sql`select count(*) from read_models.tally`.execute(tx);
      await released;
    });
    const readers = new Readers(w, 2);
    const rebuilding = projector.rebuild(['tally']);
    await until(
      'three attempts',
      () => w.notices.filter(({ kind }) => kind === 'switch-waits').length >= 3,
    );
    const position = await w.log.append(someEvents(10, 50, 500));
    expect(await projector.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    release?.();
    await reading;
    await rebuilding;
    const { failures, longest } = await readers.stop();
    expect(failures).toEqual([]);
    expect(longest).toBeLessThan(1_500);
    await session.destroy();
  });
});

describe('several reads in one snapshot', () => {
  let w: World;
  beforeEach(async () => void (w = await world()));
  afterEach(() => w.close());

  const position = sql<{ position: string }>`
    select position::text as position from projector.checkpoints where name = 'tally'`;
  const sum = sql<{ count: number }>`select coalesce(sum(count), 0)::integer as count
    from read_models.tally`;

  async function readAcrossSwitch(read: (between: () => Promise<void>) => Promise<number>) {
    await w.log.append(someEvents(100));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor('100' as Position, ['tally'], { timeoutMs: 5_000 });
    let rebuilding: Promise<unknown> | undefined;
    const count = await read(async () => {
      rebuilding = projector.rebuild(['tally']);
      await until('it switches, or waits', () =>
        w.notices.some(({ kind }) => kind === 'switched' || kind === 'switch-waits'),
      );
    });
    await rebuilding;
    return count;
  }

  test('see the rows and the checkpoint of one moment, whatever is switched meanwhile', async () => {
    const count = await readAcrossSwitch((between) =>
      inOneSnapshot(w.db, ['read_models.tally'], async (tx) => {
        expect((await position.execute(tx)).rows).toEqual([{ position: '100' }]);
        await between();
        return (await sum.execute(tx)).rows[0]?.count as number;
      }),
    );
    expect(count).toBe(90);
  });

  test('would see an empty table without the lock', async () => {
    const count = await readAcrossSwitch((between) =>
      w.db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (tx) => {
          expect((await position.execute(tx)).rows).toEqual([{ position: '100' }]);
          await between();
          return (await sum.execute(tx)).rows[0]?.count as number;
        }),
    );
    expect(count).toBe(0);
  });
});

describe('a rebuild under load', () => {
  let w: World;
  const children: Child[] = [];
  beforeEach(async () => void (w = await world()));
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.kill()));
    await w.close();
  });

  test('that is killed in the middle goes on where it was; reads never fail and never go backwards', async () => {
    for (let n = 0; n < EVENTS; n += 5_000) await w.log.append(someEvents(5_000, 500, n));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor(await headOf(w.log), ['tally'], { timeoutMs: 200_000 });
    const writer = new Writer(w, 500);
    const readers = new Readers(w, 4);

    const limit = Math.max(200, EVENTS / 500);
    const settings = { url: w.url, leaseMilliseconds: 500, limit, rebuild: true };
    let done = 0;
    for (const kill of [EVENTS * 0.2, EVENTS * 0.45, undefined]) {
      const began: number[] = [];
      const child = startWorker(settings, (line) => {
        if (typeof line.done !== 'number') return;
        began.push(line.done);
        if (kill !== undefined && line.done >= kill) void child.kill();
      });
      children.push(child);
      await child.ended;
      expect(child.complaints()).toBe('');
      expect(began[0]).toBeGreaterThan(done);
      done = began.at(-1) as number;
      // The lease of one that was killed runs out first.
      await sleep(600);
    }
    await sleep(1_000);
    const { failures, reads } = await readers.stop();
    const position = await writer.stop();
    expect(failures).toEqual([]);
    expect(reads).toBeGreaterThan(100);
    expect(w.notices.map(({ kind }) => kind)).toContain('lost');
    expect(await projector.waitFor(position, ['tally'], { timeoutMs: 10_000 })).toBe(true);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  });

  test('again and again: sessions with prepared statements and cursors read on', async () => {
    await w.log.append(someEvents(1_000));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor('1000' as Position, ['tally'], { timeoutMs: 60_000 });
    const writer = new Writer(w, 50);
    const readers = new Readers(w, 6);
    for (let n = 0; n < 12; n++) await projector.rebuild(['tally']);
    const { failures } = await readers.stop();
    await writer.stop();
    expect(failures).toEqual([]);
    await projector.waitFor(await headOf(w.log), ['tally'], { timeoutMs: 10_000 });
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  });

  test('is caught where the switch is not one transaction', async () => {
    await w.log.append(someEvents(2_000));
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    await projector.waitFor('2000' as Position, ['tally'], { timeoutMs: 60_000 });
    const broken = connect(w.url, {
      max: 1,
      intercept: (statement) =>
        statement.startsWith('lock table') ? 'select 1' : withoutTransaction(statement),
    });
    const twin = w.projector({ db: broken, log: new TableLog(w.db), projections: [tally()] });
    const writer = new Writer(w, 50);
    const readers = new Readers(w, 4);
    for (let n = 0; n < 20 && readers.failures.length === 0; n++)
      await twin.rebuild(['tally']).catch(() => undefined);
    const { failures } = await readers.stop();
    await writer.stop();
    await twin.stop();
    await broken.destroy();
    expect(failures.length).toBeGreaterThan(0);
  });
});
