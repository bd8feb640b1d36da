import { describe, expect, test } from '@jest/globals';
import { sampleEvent, sampleEvents, sampleStream } from '../contract/samples.js';
import { Backlog, type Waiting } from './backlog.js';

function waiting(count: number, options: { bulk?: boolean; since?: number } = {}): Waiting {
  const stream = sampleStream();
  const request = {
    stream,
    expected: { kind: 'any' },
    events: sampleEvents(stream, count),
  } as const;
  return { request: { ...request, bulk: options.bulk }, since: options.since ?? 0 };
}

function filled(...requests: readonly Waiting[]): Backlog<Waiting> {
  const backlog = new Backlog<Waiting>();
  for (const request of requests) backlog.add(request);
  return backlog;
}

describe('a backlog', () => {
  test('gives all that wait, in the order they came', () => {
    const requests = Array.from({ length: 5 }, () => waiting(2));
    const backlog = filled(...requests);
    expect(backlog.next(0)).toEqual(requests);
    expect(backlog.isEmpty).toBe(true);
    expect(backlog.next(0)).toEqual([]);
  });

  test('gives online work before bulk work, and does not mix them', () => {
    const bulk = waiting(1, { bulk: true });
    const online = waiting(1);
    const backlog = filled(bulk, online);
    expect(backlog.next(0)).toEqual([online]);
    expect(backlog.next(0)).toEqual([bulk]);
  });

  test('gives bulk work that waited long a small place under online load', () => {
    const bulk = Array.from({ length: 80 }, () => waiting(1, { bulk: true }));
    const backlog = filled(waiting(10), ...bulk);
    const group = backlog.next(1_000);
    expect(group.filter(({ request }) => !request.bulk)).toHaveLength(1);
    expect(group.filter(({ request }) => request.bulk)).toHaveLength(64);
  });

  test('keeps a group within its bounds, but lets a single large one go', () => {
    const backlog = filled(waiting(600), waiting(600), waiting(3_000), waiting(1));
    expect(backlog.next(0)).toHaveLength(1);
    expect(backlog.next(0)).toHaveLength(1);
    expect(backlog.next(0).map(({ request }) => request.events.length)).toEqual([3_000]);
    expect(backlog.next(0)).toHaveLength(1);
  });

  test('keeps a group within a number of bytes', () => {
    const stream = sampleStream();
    const large = (): Waiting => {
      const event = sampleEvent(stream, { data: { text: 'x'.repeat(400_000) } });
      return { request: { stream, expected: { kind: 'any' }, events: [event] }, since: 0 };
    };
    const backlog = filled(large(), large(), large());
    expect(backlog.next(0)).toHaveLength(2);
    expect(backlog.next(0)).toHaveLength(1);
  });

  test('has no event in a group twice', () => {
    const once = waiting(2);
    const backlog = filled(once, once, waiting(1));
    expect(backlog.next(0)).toEqual([once]);
    expect(backlog.next(0)).toHaveLength(2);
  });

  test('learns how much bulk work fits into its time', () => {
    const requests = Array.from({ length: 1_200 }, () => waiting(1, { bulk: true }));
    const group = (backlog: Backlog<Waiting>, milliseconds: number): number => {
      for (const request of requests) backlog.add(request);
      const taken = backlog.next(0);
      backlog.took(taken, milliseconds);
      backlog.takeAll();
      return taken.length;
    };
    const backlog = filled();
    const fast = Array.from({ length: 30 }, () => group(backlog, 2));
    expect(fast[0]).toBe(256);
    expect(fast.at(-1)).toBe(1_000);
    const slow = Array.from({ length: 30 }, () => group(backlog, 40));
    expect(slow.at(-1)).toBe(128);
  });

  test('gives out what waited too long', () => {
    const [old, young] = [waiting(1, { since: 10 }), waiting(1, { since: 20 })];
    const oldBulk = waiting(1, { since: 5, bulk: true });
    const backlog = filled(old, young, oldBulk);
    expect(backlog.expired(15)).toEqual([old, oldBulk]);
    expect(backlog.next(15)).toEqual([young]);
  });
});
