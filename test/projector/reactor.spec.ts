import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import type { ProjectorOptions } from '#core/projector/projector.js';
import type { Reactor } from '#core/projector/reactor.js';
import { until } from '../support/until.js';
import { connect } from '../support/connect.js';
import { createEffects, demanded, effects, effectsOf, firsts } from './support/effects.js';
import { someEvents } from './support/table-log.js';
import { tally } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(120_000);

const backoff = { first: 50, longest: 400 };

describe('a reactor', () => {
  let w: World;
  const opened: Kysely<unknown>[] = [];
  beforeEach(async () => {
    w = await world();
    await createEffects(w.owner);
  });
  afterEach(async () => {
    const connected = opened.splice(0);
    await w.close();
    await Promise.all(connected.map((db) => db.destroy()));
  });

  function running(reactor: Reactor, options: Partial<ProjectorOptions> = {}) {
    const projector = w.projector({
      projections: [],
      reactors: [reactor],
      reactor: { backoff, ...options.reactor },
      ...options,
    });
    projector.start();
    return projector;
  }

  async function untilDone() {
    const wanted = demanded(await everything(w.log));
    await until('every effect', async () => {
      const happened = firsts(await effectsOf(w.db));
      return [...wanted].every(([stream, all]) => happened.get(stream)?.length === all.length);
    });
    return wanted;
  }

  test('reacts to every event once, in the order of its stream', async () => {
    await w.log.append(someEvents(700));
    const projector = running(effects(w.db, () => sleep(Math.random() * 2)));
    expect(await projector.waitFor(await headOf(w.log), ['effects'], { timeoutMs: 20_000 })).toBe(
      true,
    );
    expect(await effectsOf(w.db)).toEqual(demanded(await everything(w.log)));
    expect(await projector.status()).toMatchObject([
      { name: 'effects', kind: 'reactor', status: 'running', parked: 0, laggingSeconds: 0 },
    ]);
  });

  test('is left to other processes where only projections are started, and the other way round', async () => {
    await w.log.append(someEvents(20));
    const parts = { projections: [tally()], reactors: [effects(w.db)] };
    const [following, reacting] = [w.projector(parts), w.projector(parts)];
    const passed = (name: string, timeoutMs: number) =>
      following.waitFor('20' as Position, [name], { timeoutMs });
    following.start({ reactors: false });
    expect(await passed('tally', 10_000)).toBe(true);
    expect(await passed('effects', 500)).toBe(false);
    expect(await effectsOf(w.db)).toEqual(new Map());

    reacting.start({ projections: false });
    expect(await passed('effects', 10_000)).toBe(true);
    const owners = [...(await following.checkpoints()).values()].map(({ owner }) => owner);
    expect(new Set(owners).size).toBe(2);
  });

  test('parks what fails; its stream waits, others go on, and it is tried again in order', async () => {
    await w.log.append(someEvents(300, 10));
    const all = await everything(w.log);
    const bad = all.filter(({ stream }) => stream === all[0]?.stream)[3];
    let broken = true;
    const tries: number[] = [];
    const projector = running(
      effects(w.db, ({ position }) => {
        if (position !== bad?.position || !broken) return;
        tries.push(Date.now());
        throw Object.assign(new Error('to jane@example.org'), { code: 'unreachable' });
      }),
    );
    expect(await projector.waitFor(await headOf(w.log), ['effects'], { timeoutMs: 10_000 })).toBe(
      true,
    );
    const wanted = demanded(all);
    const happened = await effectsOf(w.db);
    for (const [stream, positions] of wanted)
      expect(happened.get(stream)).toEqual(
        stream === bad?.stream ? positions.slice(0, 3) : positions,
      );
    expect(await projector.status()).toMatchObject([
      { status: 'running', parked: (wanted.get(bad?.stream as string)?.length as number) - 3 },
    ]);
    const { rows } = await sql`select position::text, reason from projector.parked
      order by parked.position limit 2`.execute(w.db);
    expect(rows).toMatchObject([
      { position: bad?.position, reason: 'unreachable' },
      { reason: 'waiting' },
    ]);
    expect(JSON.stringify(w.notices)).not.toContain('jane');

    await until('some attempts', () => tries.length >= 5);
    const gaps = tries.slice(1).map((time, n) => time - (tries[n] as number));
    expect(gaps[0]).toBeGreaterThanOrEqual(50);
    expect(gaps[3]).toBeGreaterThanOrEqual(390);
    broken = false;
    await projector.resume('effects');
    await untilDone();
    expect(await effectsOf(w.db)).toEqual(wanted);
    await until('nothing is parked', async () => (await projector.status())[0]?.parked === 0);

    const position = await w.log.append([{ stream: bad?.stream as string, type: 'Happened' }]);
    expect(await projector.waitFor(position, ['effects'], { timeoutMs: 5_000 })).toBe(true);
    expect((await effectsOf(w.db)).get(bad?.stream as string)?.at(-1)).toBe(position);
  });

  test('that can do nothing for a while takes no memory for it, and all is done in order later', async () => {
    await w.log.append(someEvents(1_000, 300));
    let broken = true;
    const projector = running(
      effects(w.db, () => {
        if (broken) throw new Error('not now');
      }),
    );
    expect(await projector.waitFor(await headOf(w.log), ['effects'], { timeoutMs: 20_000 })).toBe(
      true,
    );
    expect((await projector.status())[0]?.parked).toBe(900);
    broken = false;
    const wanted = await untilDone();
    expect(await effectsOf(w.db)).toEqual(wanted);
    await until('nothing is parked', async () => (await projector.status())[0]?.parked === 0);
  });

  test('remembers over a restart what waits', async () => {
    await w.log.append(someEvents(100, 5));
    const all = await everything(w.log);
    const stream = all[0]?.stream;
    const isBad = { now: true };
    const reactor = effects(w.db, (event) => {
      if (isBad.now && event.stream === stream) throw new Error('not yet');
    });
    const first = running(reactor);
    await first.waitFor('100' as Position, ['effects'], { timeoutMs: 5_000 });
    await first.stop();
    await w.log.append(someEvents(100, 5, 100));
    const second = running(reactor);
    await second.waitFor('200' as Position, ['effects'], { timeoutMs: 5_000 });
    expect((await effectsOf(w.db)).get(stream as string)).toBeUndefined();
    isBad.now = false;
    expect(await effectsOf(w.db).then(firsts)).not.toEqual(await untilDone());
    expect(await effectsOf(w.db)).toEqual(demanded(await everything(w.log)));
  });

  test('that takes too long is told to give up, and parked', async () => {
    await w.log.append(someEvents(5));
    let hangs = true;
    const told: string[] = [];
    const projector = running(
      effects(w.db, ({ position }, signal) => {
        if (position !== '3' || !hangs) return;
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            told.push((signal.reason as Error).name);
            reject(new Error('gave up'));
          });
        });
      }),
      { reactor: { backoff, patience: 200 } },
    );
    await until('it is parked', async () => (await projector.status())[0]?.parked === 1);
    expect(w.notices).toContainEqual(
      expect.objectContaining({ kind: 'parked', position: '3', reason: 'timeout', attempts: 1 }),
    );
    expect(told[0]).toBe('TookTooLong');
    hangs = false;
    await untilDone();
  });

  test('that is stopped in the middle of a page loses and reorders nothing', async () => {
    for (let round = 0; round < 8; round++) {
      await w.log.append(someEvents(200, 20, round * 200));
      const projector = running(effects(w.db, () => sleep(1)));
      await sleep(20 + Math.random() * 150);
      await projector.stop();
      expect((await projector.checkpoints()).get('effects')?.owner).toBeUndefined();
    }
    running(effects(w.db));
    const wanted = await untilDone();
    expect(firsts(await effectsOf(w.db))).toEqual(wanted);
  });

  test('whose database goes away repeats, and loses and reorders nothing', async () => {
    const other = connect(w.url);
    opened.push(other);
    running(effects(other, () => sleep(1)));
    for (let round = 0; round < 5; round++) {
      await w.log.append(someEvents(200, 20, round * 200)).catch(() => undefined);
      await sleep(100);
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(w.owner);
    }
    await sleep(500);
    const wanted = await untilDone();
    expect(firsts(await effectsOf(w.db))).toEqual(wanted);
  });

  test('that was frozen past its lease begins nothing more', async () => {
    await w.log.append(someEvents(90, 90));
    let thaw: (() => void) | undefined;
    let frozen: Promise<void> | undefined;
    const db = connect(w.url, {
      intercept: async (statement) => {
        await frozen;
        return statement;
      },
    });
    opened.push(db);
    const begun: string[] = [];
    const first = w.projector({
      db,
      projections: [],
      leaseMilliseconds: 300,
      reactors: [
        {
          name: 'effects',
          categories: ['subject'],
          react: async ({ position }) => {
            await frozen;
            begun.push(position);
            if (begun.length === 10) frozen = new Promise((resolve) => (thaw = resolve));
          },
        },
      ],
      reactor: { concurrency: 1 },
    });
    first.start();
    await until('it is frozen', () => thaw !== undefined);
    await sleep(500);
    const second = running(effects(w.db), { leaseMilliseconds: 300 });
    expect(await second.waitFor('90' as Position, ['effects'], { timeoutMs: 5_000 })).toBe(true);
    frozen = undefined;
    thaw?.();
    await sleep(500);
    expect(begun.length).toBeLessThanOrEqual(11);
    expect(w.notices.map(({ kind }) => kind)).toContain('lost');
    expect(await effectsOf(w.db)).toEqual(demanded(await everything(w.log)));
  });

  test('stops where no code can read an event, with everything before it done', async () => {
    await w.log.append(someEvents(20));
    const position = await w.log.append([{ stream: 'subject-bad', type: 'Undecodable' }]);
    const projector = running(effects(w.db));
    await until('it stops', async () => (await projector.status())[0]?.status === 'stopped');
    expect(await projector.status()).toMatchObject([
      { error: { position, code: 'cannot-decode' } },
    ]);
    expect([...(await effectsOf(w.db)).values()].flat()).toHaveLength(18);
  });
});
