import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { streamOf, type StreamName } from '#core/kernel/ids.js';
import { partitionOf } from '#core/kernel/partition.js';
import { type Position, START } from '#core/kernel/position.js';
import { readPartitions } from '#core/projector/checkpoint.js';
import type { Projector } from '#core/projector/projector.js';
import { until } from '../support/until.js';
import { type Child, startWorker } from './support/child.js';
import { someEvents } from './support/table-log.js';
import { doubled, foldTally, tally, tallyRows } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(300_000);

const COUNT = 8;
const parts = (options: Parameters<typeof tally>[0] = {}) =>
  tally({ partitions: COUNT, ...options });

describe('a projection in partitions', () => {
  let w: World;
  const children: Child[] = [];
  beforeEach(async () => void (w = await world()));
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.kill()));
    await w.close();
  });

  async function owners(): Promise<(string | undefined)[]> {
    return (await readPartitions(w.db, { names: ['tally'] })).map(({ owner }) => owner);
  }

  /** How many partitions each has, in the order asked for. */
  const haveEach = (...counts: number[]) =>
    until(`shares of ${counts.join(', ')}`, async () => {
      const all = await owners();
      const sizes = [...new Set(all)].map((owner) => all.filter((one) => one === owner).length);
      return !all.includes(undefined) && `${sizes.sort()}` === `${counts.sort()}`;
    });

  async function isFold(position: Position) {
    await until('everything is applied', async () =>
      (await readPartitions(w.db, { names: ['tally'] })).every((one) => one.position === position),
    );
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await doubled(w.db)).toBe(0);
  }

  /** A stream of that partition. */
  function streamIn(partition: number): StreamName {
    for (let n = 0; ; n++) {
      const stream = streamOf('subject', `sub_${n}`);
      if (partitionOf(stream, COUNT) === partition) return stream;
    }
  }

  async function started(options: Partial<Parameters<World['projector']>[0]> = {}) {
    const projector = w.projector({ projections: [parts()], ...options });
    projector.start();
    await until('it has some', async () => (await owners()).some((owner) => owner !== undefined));
    return projector;
  }

  const passes = (projector: Projector, position: Position, streams?: StreamName[]) =>
    projector.waitFor(position, ['tally'], { timeoutMs: 60_000, streams });

  test('is one reading of the log and one batch for the process that has them all', async () => {
    const batches: number[] = [];
    await w.log.append(someEvents(300));
    const projector = await started({
      projections: [parts({ before: ({ length }) => void batches.push(length) })],
      runner: { limit: 100 },
    });
    expect(await passes(projector, '300' as Position)).toBe(true);
    expect(batches).toEqual([100, 100, 70]);
    const all = await readPartitions(w.db, { names: ['tally'] });
    expect(all.map(({ position, partition }) => [partition, position])).toEqual(
      all.map((_, n) => [n, '300']),
    );
    expect(all.reduce((sum, { applied }) => sum + applied, 0)).toBe(270);
    await isFold('300' as Position);
  });

  test('is shared with a process that comes, and taken over from one that goes', async () => {
    await w.log.append(someEvents(200));
    const first = await started({ owner: 'first' });
    await haveEach(8);
    const second = await started({ owner: 'second' });
    await haveEach(4, 4);
    const third = await started({ owner: 'third' });
    await haveEach(2, 3, 3);
    const position = await w.log.append(someEvents(200, 50, 200));
    for (const one of [first, second, third]) expect(await passes(one, position)).toBe(true);
    await isFold(position);
    // What it had is released, not left to run out.
    await second.stop();
    await haveEach(4, 4);
    await first.handOver();
    await haveEach(8);
    // Who hands over still waits for others.
    const later = await w.log.append(someEvents(200, 50, 400));
    expect(await passes(first, later)).toBe(true);
    await third.handOver();
    // Nobody is there to go on.
    await haveEach(8);
    await isFold(later);
  });

  test('of one that is killed is taken over after its lease, catches up beside, and joins', async () => {
    await w.log.append(someEvents(2_000));
    const settings = { url: w.url, leaseMilliseconds: 1_500, limit: 50, partitions: COUNT };
    const projector = await started({ owner: 'stays', runner: { limit: 50 } });
    const child = startWorker(settings);
    children.push(child);
    await haveEach(4, 4);
    await child.kill();
    let position = START;
    for (let n = 2_000; n < 4_000; n += 100) {
      position = await w.log.append(someEvents(100, 50, n));
      await sleep(20);
    }
    const kept = (await readPartitions(w.db)).find(({ owner }) => owner === 'stays')?.partition;
    // What the other one had does not hold up anybody else.
    expect(await passes(projector, position, [streamIn(kept as number)])).toBe(true);
    await haveEach(8);
    await until('they are one again', async () => {
      const at = await readPartitions(w.db);
      return new Set(at.map((one) => one.position)).size === 1;
    });
    const later = await w.log.append(someEvents(100, 50, 4_000));
    expect(await passes(projector, later)).toBe(true);
    await isFold(later);
  });

  test('stops at an event that can not be applied in the partition of its stream alone', async () => {
    await w.log.append(someEvents(100));
    const projector = await started();
    expect(await passes(projector, '100' as Position)).toBe(true);
    const bad = await w.log.append([{ stream: streamIn(3), type: 'Poison' }]);
    const after = await w.log.append(someEvents(100, 50, 101));
    await until('it stops', async () => (await projector.status())[0]?.status === 'stopped');
    expect(await passes(projector, after)).toBe(false);
    for (const partition of [0, 1, 2, 4, 5, 6, 7])
      expect(await passes(projector, after, [streamIn(partition)])).toBe(true);
    expect(await projector.status()).toMatchObject([
      { status: 'stopped', error: { position: bad, code: 'apply-failed' } },
    ]);
    const { partitions } = (await projector.status())[0] as Awaited<
      ReturnType<Projector['status']>
    >[number];
    expect(partitions.map(({ status }) => status)).toEqual(
      partitions.map((_, n) => (n === 3 ? 'stopped' : 'running')),
    );
  });

  test('goes on where it was stopped, and joins the others', async () => {
    const projector = await started();
    const bad = await w.log.append([{ stream: streamIn(3), type: 'Poison' }]);
    await w.log.append(someEvents(500));
    await until('it stops', async () => (await projector.status())[0]?.status === 'stopped');
    await sql`update test_log.events set type = 'Mended' where position = ${bad}`.execute(w.owner);
    expect(await projector.resume('tally')).toBe(true);
    const position = await w.log.append(someEvents(50, 50, 600));
    expect(await passes(projector, position)).toBe(true);
    await isFold(position);
  });

  test('is rebuilt in other partitions, under the hands of those who drive it', async () => {
    await w.log.append(someEvents(1_000));
    const [first, second] = [await started(), await started()];
    await haveEach(4, 4);
    const rebuilt = w.projector({ projections: [parts()] });
    let appending = true;
    const appended = (async () => {
      for (let n = 1_000; appending; n += 10) {
        await w.log.append(someEvents(10, 50, n));
        await sleep(10);
      }
    })();
    await rebuilt.rebuild(['tally'], { limit: 200 });
    await haveEach(4, 4);
    await Promise.all([first.stop(), second.stop()]);
    const next = w.projector({ projections: [parts({ version: 2, partitions: 3 })] });
    next.start();
    await until('it has switched', async () => {
      const all = await readPartitions(w.db, { names: ['tally'] });
      return all.length === 3 && all.every(({ version, owner }) => version === 2 && owner);
    });
    appending = false;
    await appended;
    await isFold(await headOf(w.log));
  });
});
