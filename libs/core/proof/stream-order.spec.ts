import { afterEach, describe, expect, test } from '@jest/globals';
import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { heldMegabytes } from '../../../test/support/held-memory.js';
import { StreamOrder } from './stream-order.js';
import { RUN_BYTES, RunPacker } from './stream-runs.js';

const event = (position: number, stream: number, revision: number): StoredEvent => ({
  stream: `subject-${String(stream).padStart(36, '0')}` as StreamName,
  revision,
  position: String(position) as Position,
  bytes: new Uint8Array(0),
});

let order = new StreamOrder();
afterEach(() => {
  order.close();
  order = new StreamOrder();
});

describe('a log in which streams are told apart', () => {
  /** So many streams, event by event in turn: far more than is kept before it goes to the file. */
  const log = (streams: number, revisions: number) =>
    Array.from({ length: streams * revisions }, (_, n) =>
      event(n + 1, n % streams, Math.floor(n / streams)),
    );

  test('is in order where every revision follows the one before it', () => {
    expect(order.look()).toEqual({ streams: 0, first: undefined });
    for (const one of log(60_000, 3)) order.add(one);
    expect(order.look()).toEqual({ streams: 60_000, first: undefined });
  });

  test.each([
    ['one is missing', 150_017, (one: StoredEvent) => ({ ...one, revision: one.revision + 1 })],
    ['one is there twice', 120_001, (one: StoredEvent) => ({ ...one, revision: 0 })],
    ['one is before the first', 7, (one: StoredEvent) => ({ ...one, revision: 1 })],
    [
      'one is of another stream',
      179_999,
      (one: StoredEvent) => ({ ...one, stream: event(0, 5, 0).stream, revision: 9 }),
    ],
  ])('is not where %s, and the place is known', (_, position, change) => {
    for (const one of log(60_000, 3))
      order.add(Number(one.position) === position ? change(one) : one);
    expect(order.look().first).toMatchObject({ position: String(position) });
  });

  test('names the first of several places, whatever their streams', () => {
    const wrong = new Set([50_000, 37_777, 170_000]);
    for (const one of log(60_000, 3))
      order.add(wrong.has(Number(one.position)) ? { ...one, revision: 40 } : one);
    expect(order.look().first).toEqual({
      position: '37777',
      reason: 'has revision 40 of its stream where 0 belongs',
    });
  });
});

describe('events that were packed', () => {
  /** Of streams that take turns, some events at a time. */
  const log = Array.from({ length: 600 }, (_, n) =>
    event(n + 1, Math.floor(n / 3) % 40, Math.floor(n / 120) * 3 + (n % 3)),
  );
  const packed = (events: readonly StoredEvent[]) => {
    const packer = new RunPacker((events[0] as StoredEvent).position, events.length);
    for (const { stream, revision } of events) {
      const name = Buffer.from(`before ${stream} behind`);
      packer.add(name, { start: 7, end: 7 + stream.length }, revision);
    }
    return packer.packed();
  };
  const lookAt = (events: readonly StoredEvent[]) => {
    const { runs, runStarts } = packed(events);
    runStarts.forEach((_, run) => order.addRun(runs, run * RUN_BYTES));
    return { ...order.look(), runs: runStarts.length };
  };

  test('are as many streams in fewer runs, and in order', () => {
    expect(lookAt(log)).toEqual({ streams: 40, first: undefined, runs: 200 });
  });

  test('of which one is out of order are found where they are found one by one', () => {
    for (let wrong = 0; wrong < log.length; wrong += 7) {
      const events = log.map((one, n) => (n === wrong ? { ...one, revision: 77 } : one));
      const { streams, first } = lookAt(events);
      order.close();
      order = new StreamOrder();
      for (const one of events) order.add(one);
      expect({ streams, first }).toEqual(order.look());
      expect(first?.position).toBe(String(wrong + 1));
      order.close();
      order = new StreamOrder();
    }
  });
});

describe('memory', () => {
  const STREAMS = 200_000;
  /** MB that are held after so many streams, beyond what was before. */
  const heldBy = (take: (one: StoredEvent) => void) => {
    const before = heldMegabytes();
    for (let n = 1; n <= STREAMS; n++) take(event(n, n, 0));
    return heldMegabytes() - before;
  };

  test('does not grow with the number of streams, as that of a map does', () => {
    expect(heldBy((one) => order.add(one))).toBeLessThan(5);
    const map = new Map<StreamName, number>();
    expect(heldBy(({ stream, revision }) => map.set(stream, revision))).toBeGreaterThan(15);
    expect(map.size).toBe(order.look().streams);
  });
});
