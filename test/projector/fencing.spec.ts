import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { type Position, START } from '#core/kernel/position.js';
import { readCheckpoints } from '#core/projector/checkpoint.js';
import { until } from '../support/until.js';
import { connect, withoutFence } from '../support/connect.js';
import { type Child, startWorker } from './support/child.js';
import { someEvents, TableLog } from './support/table-log.js';
import { doubled, foldTally, tally, tallyRows } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(600_000);

/** More of them: FREEZE_ROUNDS=100. */
const ROUNDS = Number(process.env.FREEZE_ROUNDS ?? 8);

describe('an owner that was frozen past its lease', () => {
  let w: World;
  const children: Child[] = [];
  const opened: Kysely<unknown>[] = [];
  beforeEach(async () => void (w = await world()));
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.kill()));
    const connected = opened.splice(0);
    await w.close();
    await Promise.all(connected.map((db) => db.destroy()));
  });

  /** A projector in this process of which every statement can be held back, as if it did not run. */
  function freezable(
    rewrite: (statement: string) => string,
    hooks: Parameters<typeof tally>[0] = {},
  ) {
    let thaw: (() => void) | undefined;
    let frozen: Promise<void> | undefined;
    const db = connect(w.url, {
      intercept: async (statement) => {
        await frozen;
        return rewrite(statement);
      },
    });
    opened.push(db);
    const projector = w.projector({
      db,
      log: new TableLog(db),
      projections: [tally(hooks)],
      leaseMilliseconds: 300,
      owner: 'frozen',
    });
    return {
      projector,
      freeze: () => void (frozen = new Promise((resolve) => (thaw = resolve))),
      thaw: () => {
        frozen = undefined;
        thaw?.();
      },
    };
  }

  async function takeover(partitions: number, rewrite: (statement: string) => string) {
    await w.log.append(someEvents(50));
    const first = freezable(rewrite, { partitions });
    first.projector.start();
    expect(await first.projector.waitFor('50' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(
      true,
    );
    first.freeze();
    // Its next page is on its way, and is not written before it wakes.
    await w.log.append(someEvents(50, 50, 50));
    const second = w.projector({
      projections: [tally({ partitions })],
      leaseMilliseconds: 300,
      owner: 'second',
    });
    second.start();
    expect(await second.waitFor('100' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    await second.stop();
    first.thaw();
    await sleep(500);
  }

  test.each([1, 8])(
    'of %d partitions writes nothing, says so and goes on from where the other one is',
    async (partitions) => {
      await takeover(partitions, (statement) => statement);
      expect(w.notices.map(({ kind }) => kind)).toContain('lost');
      expect(await doubled(w.db)).toBe(0);
      const position = await w.log.append(someEvents(50, 50, 100));
      await until('it goes on', async () => {
        return (await readCheckpoints(w.db)).get('tally')?.position === position;
      });
      expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
      expect(await doubled(w.db)).toBe(0);
    },
  );

  test.each([1, 8])(
    'of %d partitions is caught where checkpoints are moved without epoch and old position',
    async (partitions) => {
      await takeover(partitions, withoutFence);
      expect(await doubled(w.db)).toBeGreaterThan(0);
    },
  );

  test('does not keep the rows locked: its open transaction is ended', async () => {
    await w.log.append(someEvents(50));
    const first = freezable((statement) => statement, {
      before: () => first.freeze(),
    });
    first.projector.start();
    await until('it is in the middle of a batch', async () => {
      return (await readCheckpoints(w.db)).get('tally')?.owner === 'frozen';
    });
    const second = w.projector({
      projections: [tally()],
      leaseMilliseconds: 300,
      owner: 'second',
    });
    second.start();
    expect(await second.waitFor('50' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    first.thaw();
    await sleep(300);
    expect(await doubled(w.db)).toBe(0);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
  });

  /** Two processes; by turns the one that owns is stopped for more than two leases and woken again. */
  async function frozenProcesses(rounds: number, twin?: 'fence', enough = async () => false) {
    const settings = { url: w.url, leaseMilliseconds: 250, limit: 25, slow: 5, partitions: 8 };
    const both = [0, 1].map(() => startWorker({ ...settings, ...(twin ? { twin } : {}) }));
    children.push(...both);
    let appending = true;
    const appended = (async () => {
      for (let n = 0; appending; n += 25) {
        await w.log.append(someEvents(25, 50, n));
        await sleep(8);
      }
    })();
    try {
      await until('somebody follows', async () => {
        return ((await readCheckpoints(w.db)).get('tally')?.position ?? START) !== START;
      });
      for (let round = 0; round < rounds && !(await enough()); round++) {
        const [one] = both.slice(round % 2);
        one?.send('SIGSTOP');
        await sleep(600 + Math.random() * 300);
        one?.send('SIGCONT');
        await sleep(Math.random() * 200);
      }
    } finally {
      appending = false;
      await appended;
    }
    return both;
  }

  async function allApplied() {
    const head = await headOf(w.log);
    await until(
      'all is applied',
      async () => (await readCheckpoints(w.db)).get('tally')?.position === head,
      120_000,
    );
  }

  test(`doubles nothing and skips nothing, over ${ROUNDS} real freezes`, async () => {
    const both = await frozenProcesses(ROUNDS);
    await allApplied();
    const takeovers = both.flatMap(({ said }) => said.filter(({ kind }) => kind === 'took-over'));
    expect(takeovers.length).toBeGreaterThan(ROUNDS / 2);
    expect(await doubled(w.db)).toBe(0);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(both.map((child) => child.complaints())).toEqual(['', '']);
  });

  test('doubles something in real freezes where nothing fences it', async () => {
    const isDoubled = async () => (await doubled(w.db)) > 0;
    await frozenProcesses(60, 'fence', isDoubled);
    expect(await isDoubled()).toBe(true);
  });
});
