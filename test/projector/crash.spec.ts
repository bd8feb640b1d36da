import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { readCheckpoints } from '#core/projector/checkpoint.js';
import { until } from '../support/until.js';
import { type Child, startWorker } from './support/child.js';
import { someEvents } from './support/table-log.js';
import { doubled, foldTally, tally, tallyRows } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(600_000);

/** More of them: CRASH_ROUNDS=200. */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 10);

describe('a projector that is killed between rows and commit', () => {
  let w: World;
  let child: Child | undefined;
  beforeEach(async () => void (w = await world()));
  afterEach(async () => {
    await child?.kill();
    await w.close();
  });

  /** Children that kill themselves, one after the other, or are killed at a time they can not choose. */
  async function crashRounds(rounds: number, twin?: 'transaction') {
    // The tables are there before anything is broken.
    const whole = w.projector({ projections: [tally()] });
    await whole.rebuild(['tally']);
    let last = '0';
    let backwards = 0;
    const settings = { url: w.url, leaseMilliseconds: 300, limit: 20, suicide: 0.08 };
    for (let round = 0; round < rounds; round++) {
      await w.log.append(someEvents(300, 50, round * 300));
      const worker = startWorker({ ...settings, ...(twin ? { twin } : {}) }, ({ kind }) => {
        if (kind === 'took-over') setTimeout(() => void worker.kill(), Math.random() * 400);
      });
      child = worker;
      await worker.ended;
      expect(worker.complaints()).toBe('');
      const position = (await readCheckpoints(w.db)).get('tally')?.position ?? '0';
      if (BigInt(position) < BigInt(last)) backwards++;
      last = position;
    }
    child = startWorker({ ...settings, suicide: 0, ...(twin ? { twin } : {}) });
    const head = await headOf(w.log);
    await until(
      'all is applied',
      async () => {
        return (await readCheckpoints(w.db)).get('tally')?.position === head;
      },
      120_000,
    );
    return { backwards };
  }

  test(`applies every event exactly once, over ${ROUNDS} kills`, async () => {
    const { backwards } = await crashRounds(ROUNDS);
    expect(backwards).toBe(0);
    expect(await doubled(w.db)).toBe(0);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
  });

  test('is caught where rows and checkpoint are not one transaction', async () => {
    await crashRounds(12, 'transaction');
    expect(await tallyRows(w.db)).not.toEqual(foldTally(await everything(w.log)));
  });
});
