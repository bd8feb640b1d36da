import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import type { Projection } from '#core/projector/projection.js';
import { until } from '../support/until.js';
import { someEvents } from './support/table-log.js';
import { doubled, foldTally, tally, tallyRows } from './support/tally.js';
import { everything, headOf, type World, world } from './support/world.js';

jest.setTimeout(60_000);

const poison = { stream: 'subject-bad', type: 'Poison' };
const undecodable = { stream: 'subject-bad', type: 'Undecodable' };

describe('an event that can not be applied', () => {
  let w: World;
  beforeEach(async () => void (w = await world()));
  afterEach(() => w.close());

  async function untilStopped(projections: readonly Projection[]) {
    const projector = w.projector({ projections });
    projector.start();
    await until('it stops', async () => (await projector.status())[0]?.status === 'stopped', 5_000);
    return projector;
  }

  test('stops its projection after everything before it, visibly, and no other one', async () => {
    await w.log.append(someEvents(333));
    const position = await w.log.append([poison]);
    await w.log.append(someEvents(333, 50, 333));
    const other = { ...tally({ name: 'other' }), apply: () => Promise.resolve() };
    const projector = await untilStopped([tally(), other]);

    const events = await everything(w.log);
    const before = events.filter((event) => BigInt(event.position) < BigInt(position));
    expect(await tallyRows(w.db)).toEqual(foldTally(before));
    expect(await doubled(w.db)).toBe(0);
    expect(await projector.waitFor(await headOf(w.log), ['other'], { timeoutMs: 5_000 })).toBe(
      true,
    );
    expect(await projector.status()).toMatchObject([
      {
        name: 'tally',
        status: 'stopped',
        position: before.filter(({ stream }) => stream.startsWith('subject')).at(-1)?.position,
        error: {
          position,
          code: 'apply-failed',
          message: 'Poison version 1: Error: this one can not be applied',
        },
      },
      { name: 'other', status: 'running', laggingSeconds: 0, error: undefined },
    ]);
    expect((await projector.status())[0]?.laggingSeconds).toBeGreaterThan(0);
    expect(w.notices).toContainEqual(expect.objectContaining({ kind: 'stopped', position }));
  });

  test('lets nobody wait in vain', async () => {
    await w.log.append([...someEvents(5), poison]);
    const projector = await untilStopped([tally()]);
    const elsewhere = w.projector({ projections: [tally()] });
    for (const one of [projector, elsewhere]) {
      expect(await one.waitFor('5' as Position, ['tally'], { timeoutMs: 1_000 })).toBe(true);
      const began = Date.now();
      expect(await one.waitFor('6' as Position, ['tally'], { timeoutMs: 30_000 })).toBe(false);
      expect(Date.now() - began).toBeLessThan(3_000);
    }
  });

  test('is tried again when it is resumed, and once when a process starts', async () => {
    await w.log.append([...someEvents(5), poison, ...someEvents(5, 50, 5)]);
    const attempts = { count: 0, fixed: false };
    const mended = (): Projection => {
      const { apply, ...rest } = tally();
      return {
        ...rest,
        apply: (batch, context) => {
          if (batch.length === 1 && batch[0]?.type === 'Poison') attempts.count++;
          const seen = attempts.fixed
            ? batch.map((event) => ({ ...event, type: 'Mended' }))
            : batch;
          return apply(seen, context);
        },
      };
    };
    const first = await untilStopped([mended()]);
    expect(attempts.count).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(attempts.count).toBe(1);

    expect(await first.resume('tally')).toBe(true);
    await until('the second attempt', () => attempts.count === 2);
    await until('it stops', async () => (await first.status())[0]?.status === 'stopped');
    await first.stop();

    const second = await untilStopped([mended()]);
    await until('the third attempt', () => attempts.count === 3);
    await until('it stops', async () => (await second.status())[0]?.status === 'stopped');
    attempts.fixed = true;
    // From a process that runs no projector.
    expect(await w.projector({ projections: [mended()] }).resume('tally')).toBe(true);
    expect(await second.waitFor('11' as Position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    expect(await second.status()).toMatchObject([{ status: 'running', error: undefined }]);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect(await second.resume('tally')).toBe(false);
  });

  test('that no code can read stops it too', async () => {
    await w.log.append(someEvents(20));
    const position = await w.log.append([undecodable]);
    await w.log.append(someEvents(20));
    const projector = await untilStopped([tally()]);
    expect(await projector.status()).toMatchObject([
      { position: '19', error: { position, code: 'cannot-decode' } },
    ]);
  });

  test('of another category that no code can read is no concern of it', async () => {
    await w.log.append(someEvents(9));
    const position = await w.log.append([{ stream: 'access-2026', type: 'Undecodable' }]);
    const projector = w.projector({ projections: [tally()] });
    projector.start();
    expect(await projector.waitFor(position, ['tally'], { timeoutMs: 5_000 })).toBe(true);
    expect((await projector.checkpoints()).get('tally')?.anchor?.position).toBe('9');
    await projector.stop();
    const again = w.projector({ projections: [tally()] });
    again.start();
    const next = await w.log.append(someEvents(1));
    expect(await again.waitFor(next, ['tally'], { timeoutMs: 5_000 })).toBe(true);
  });

  test('is told of without the value that the database or a parser stumbled on', async () => {
    await w.log.append(someEvents(3));
    const secret = 'jane.doe@example.org';
    const failing = (name: string, apply: Projection['apply']) => ({ ...tally({ name }), apply });
    const projector = w.projector({
      projections: [
        failing(
          'casts',
          async (_, { tx }) => void (await sql`select ${secret}::integer`.execute(tx)),
        ),
        failing('parses', () => Promise.reject(parseError(`${secret} {`))),
      ],
    });
    projector.start();
    await until('both stop', async () =>
      (await projector.status()).every(({ status }) => status === 'stopped'),
    );
    const told = JSON.stringify([await projector.status(), w.notices]);
    expect(told).not.toContain(secret);
    expect(told).toContain('SQLSTATE 22P02');
    const stored = await sql`select error::text from projector.checkpoints`.execute(w.db);
    expect(JSON.stringify(stored.rows)).not.toContain(secret);
  });

  test('is told apart from a database that is short of something for a while', async () => {
    await w.log.append(someEvents(300));
    const codes = ['40001', '40P01', '53100', '55P03', '57014', '08006'];
    const { apply, ...rest } = tally();
    const projector = w.projector({
      projections: [
        {
          ...rest,
          apply: async (batch, context) => {
            await apply(batch, context);
            const code = codes.pop();
            if (code !== undefined) throw Object.assign(new Error('for now'), { code });
          },
        },
      ],
      runner: { limit: 50 },
    });
    projector.start();
    expect(await projector.waitFor('300' as Position, ['tally'], { timeoutMs: 30_000 })).toBe(true);
    expect(codes).toEqual([]);
    expect(await doubled(w.db)).toBe(0);
    expect(await tallyRows(w.db)).toEqual(foldTally(await everything(w.log)));
    expect((await projector.status())[0]?.retrying).toBeUndefined();
  });
});

function parseError(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}
