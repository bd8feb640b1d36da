import { describe, expect, test } from '@jest/globals';
import type { Position } from '#core/kernel/position.js';
import {
  type Appending,
  type History,
  type Paging,
  type Seen,
  type ViolationKind,
  violationsIn,
} from './history.js';
import type { Expected } from '../port.js';

const at = (position: number): Position => String(position) as Position;

const event = (id: string, position: number, revision: number, stream = 's-1'): Seen => ({
  id,
  position: at(position),
  revision,
  stream,
});

/** Three appends to two streams, one after the other: a, b and c together, d. */
const log = [event('a', 1, 0), event('b', 2, 1), event('c', 3, 2), event('d', 4, 0, 's-2')];
const append = (
  began: number,
  ids: readonly string[],
  positions: readonly number[],
  more: Partial<Appending> = {},
): Appending => ({
  stream: 's-1',
  expected: { kind: 'any' },
  began,
  ended: began + 1,
  ids,
  told: {
    kind: 'appended',
    places: positions.map((position) => ({ position: at(position), revision: position - 1 })),
  },
  ...more,
});
const a = append(0, ['a'], [1], { expected: { kind: 'none' } });
const bc = append(10, ['b', 'c'], [2, 3], { expected: { kind: 'exact', revision: 0 } });
const d = append(20, ['d'], [4], {
  stream: 's-2',
  told: { kind: 'appended', places: [{ position: at(4), revision: 0 }] },
});
const page = (began: number, after: number, to: number, more: Partial<Paging> = {}): Paging => ({
  began,
  ended: began + 1,
  after: at(after),
  events: log.slice(after, to),
  scannedTo: at(to),
  toEnd: false,
  ...more,
});
const good: History = {
  appends: [a, bc, d],
  pages: [page(5, 0, 1, { toEnd: true }), page(11, 1, 3), page(30, 0, 4, { toEnd: true })],
  readings: [{ stream: 's-1', ids: ['a', 'b', 'c'], began: 10, ended: 12 }],
  log,
  gapless: true,
};

const kinds = (history: Partial<History>): ViolationKind[] => [
  ...new Set(violationsIn({ ...good, ...history }).map(({ kind }) => kind)),
];
const conflict = (began: number, expected: Expected, actual: number): Appending =>
  append(began, ['x'], [], { expected, told: { kind: 'conflict', actual } });

describe('a history that is of one log', () => {
  test('has no violation', () => {
    expect(violationsIn(good)).toEqual([]);
  });

  test('may have retries, answers that were lost, and positions that do not run on', () => {
    const unknown = append(9, ['b', 'c'], [], { told: { kind: 'unknown' }, expected: bc.expected });
    const again = append(40, ['b', 'c'], [2, 3], { expected: bc.expected });
    const never = append(50, ['y'], [], { told: { kind: 'unknown' } });
    expect(kinds({ appends: [a, unknown, bc, again, d, never] })).toEqual([]);
    const refused = append(9, ['b', 'c'], [], { told: { kind: 'refused' } });
    expect(kinds({ appends: [a, refused, bc, d] })).toEqual([]);
    const sparse = log.map((one) => ({ ...one, position: at(Number(one.position) * 7) }));
    const appends = [a, bc, d].map((one) => ({ ...one, told: { kind: 'unknown' } as const }));
    expect(kinds({ log: sparse, appends, pages: [], gapless: false })).toEqual([]);
  });

  test('may have conflicts and reads that overlap what they found or did not find', () => {
    const early = { ...conflict(10, { kind: 'exact', revision: 7 }, 0), ended: 11 };
    const late = { ...conflict(10, { kind: 'none' }, 2), ended: 11 };
    expect(kinds({ appends: [a, bc, d, early, late] })).toEqual([]);
    const reading = { stream: 's-1', ids: ['a'], began: 10.5, ended: 12 };
    expect(kinds({ readings: [reading] })).toEqual([]);
  });
});

describe('a history that is not is found', () => {
  const without = (id: string) => log.filter((one) => one.id !== id);

  test('an event that was acknowledged and is gone', () => {
    expect(kinds({ log: without('d'), pages: [] })).toEqual(['lost']);
  });

  test('an event that is there twice', () => {
    const twice = [...log, event('d', 5, 1, 's-2')];
    expect(kinds({ log: twice, pages: [] })).toContain('doubled');
  });

  test('an event elsewhere than its writer was told', () => {
    const told = { kind: 'appended', places: [{ position: at(3), revision: 0 }] } as const;
    expect(kinds({ appends: [a, bc, { ...d, told }] })).toEqual(['moved']);
  });

  test('half of an append', () => {
    const unknown = { ...bc, told: { kind: 'unknown' } } as const;
    const shorter = [log[0], log[1], event('d', 3, 0, 's-2')] as Seen[];
    const told = { kind: 'appended', places: [{ position: at(3), revision: 0 }] } as const;
    expect(
      kinds({ log: shorter, appends: [a, unknown, { ...d, told }], pages: [], readings: [] }),
    ).toEqual(['half']);
  });

  test('an event of which nothing was to be written', () => {
    const refused = { ...d, told: { kind: 'refused' } } as const;
    expect(kinds({ appends: [a, bc, refused] })).toEqual(['phantom']);
  });

  test('an event that nobody appended', () => {
    expect(kinds({ appends: [a, bc], pages: [] })).toEqual(['foreign']);
  });

  test('a position, or a revision, that is missing', () => {
    const gap = [...log.slice(0, 3), event('d', 5, 0, 's-2')];
    const told = { kind: 'appended', places: [{ position: at(5), revision: 0 }] } as const;
    expect(kinds({ log: gap, appends: [a, bc, { ...d, told }], pages: [] })).toEqual(['hole']);
    const jump = [...log.slice(0, 3), event('d', 4, 1, 's-2')];
    const one = { kind: 'appended', places: [{ position: at(4), revision: 1 }] } as const;
    expect(kinds({ log: jump, appends: [a, bc, { ...d, told: one }] })).toEqual(['hole']);
  });

  test('a reader that passed over an event', () => {
    const hasty = page(30, 0, 4, { events: without('b') });
    expect(kinds({ pages: [hasty] })).toEqual(['skipped']);
  });

  test('a reader that got an event twice', () => {
    const events = [...log, log[3] as Seen];
    expect(kinds({ pages: [page(30, 0, 4, { events })] })).toEqual(['doubled']);
  });

  test('a reader that got events in another order, or in another place', () => {
    const [first, second, ...others] = log as [Seen, Seen, Seen, Seen];
    expect(kinds({ pages: [page(30, 0, 4, { events: [second, first, ...others] })] })).toEqual([
      'reordered',
    ]);
    const elsewhere = [...log.slice(0, 3), event('d', 9, 0, 's-2')];
    expect(kinds({ pages: [page(30, 0, 4, { events: elsewhere })] })).toEqual(['reordered']);
    const reading = { stream: 's-1', ids: ['a', 'c', 'b'], began: 30, ended: 31 };
    expect(kinds({ readings: [reading] })).toEqual(['reordered']);
  });

  test('a reader that got an event which is not in the log', () => {
    const events = [...log, event('z', 5, 1, 's-2')];
    expect(kinds({ pages: [page(30, 0, 4, { events })] })).toEqual(['foreign']);
  });

  test('a log that moves back: read to its end, it lacked what had been acknowledged', () => {
    expect(kinds({ pages: [page(30, 0, 3, { toEnd: true })] })).toEqual(['not-linearizable']);
  });

  test('a log read to its end before its last event was sent', () => {
    expect(kinds({ pages: [page(15, 0, 4, { toEnd: true })] })).toEqual(['not-linearizable']);
  });

  test('an append that ended before another began, and came behind it', () => {
    expect(kinds({ appends: [{ ...a, began: 13, ended: 14 }, bc, d], pages: [] })).toEqual([
      'not-linearizable',
    ]);
  });

  test('an append at a revision that the stream did not have', () => {
    const wrong = { ...bc, expected: { kind: 'exact', revision: 4 } } as const;
    expect(kinds({ appends: [a, wrong, d] })).toEqual(['not-linearizable']);
    expect(kinds({ appends: [a, { ...bc, expected: { kind: 'none' } }, d] })).toEqual([
      'not-linearizable',
    ]);
    expect(kinds({ appends: [{ ...a, expected: { kind: 'exists' } }, bc, d] })).toEqual([
      'not-linearizable',
    ]);
  });

  test('a conflict with a revision that the stream had no more, had not yet, or never had', () => {
    for (const [began, actual] of [
      [30, 0],
      [5, 2],
      [30, 1],
      [30, 9],
    ] as const) {
      const wrong = conflict(began, { kind: 'exact', revision: 5 }, actual);
      const found = kinds({ appends: [a, bc, d, wrong] });
      expect([began, actual, found]).toEqual([began, actual, ['not-linearizable']]);
    }
  });

  test('a conflict although the stream was as expected', () => {
    const wrong = conflict(30, { kind: 'exact', revision: 2 }, 2);
    expect(kinds({ appends: [a, bc, d, wrong] })).toEqual(['not-linearizable']);
  });

  test('two reads of a stream of which the later one had less', () => {
    const later = { stream: 's-1', ids: ['a'], began: 11.5, ended: 12.5 };
    expect(kinds({ readings: [...good.readings, { ...later, began: 11.2 }] })).toEqual([
      'not-linearizable',
    ]);
  });
});
