import { describe, expect, test } from '@jest/globals';
import {
  add,
  day,
  destroyKeys,
  factsOf,
  give,
  history,
  lift,
  object,
  off,
  on,
  registered,
  remove,
  restrict,
  takeBack,
  type Told,
  withdraw,
} from '../../../../test/laws/telling.js';
import { personAt, type PersonSpan, personSpans } from './person.js';

/** Numbers are days of March. */
const spansOf = (...told: readonly Told[]) => personSpans(factsOf(history(told)));
const at = (asOf: number, ...told: readonly Told[]) => personAt(spansOf(...told), day(asOf));

/** One field over some days. */
function over<Field extends keyof PersonSpan>(
  field: Field,
  days: readonly number[],
  ...told: readonly Told[]
): (PersonSpan[Field] | undefined)[] {
  return days.map((asOf) => at(asOf, ...told)?.[field]);
}

describe('registration', () => {
  test('nobody before it, somebody from its moment on', () => {
    expect(spansOf()).toEqual([]);
    expect(over('registeredAt', [1, 2, 3], registered(2))).toEqual([undefined, day(2), day(2)]);
  });

  test('what lies before it holds from then on, and shows nobody earlier', () => {
    const told = [registered(4), add('email', 2), restrict(1), on('weekly', 'email', 3)];
    expect(spansOf(...told)).toEqual([
      {
        from: day(4),
        registeredAt: day(4),
        erased: false,
        objectsToMarketing: false,
        restricted: 'all',
        reachable: { email: day(2) },
        topics: { weekly: { email: 'on' } },
      },
    ]);
  });

  test('choices for purposes make no new span', () => {
    expect(spansOf(registered(1), give(2), withdraw(3))).toHaveLength(1);
  });
});

describe('contact points', () => {
  test('a kind can be reached from the first one added until the last one removed', () => {
    const told = [
      registered(1),
      add('email', 2, 1),
      add('email', 4, 2),
      remove('email', 6, 1),
      remove('email', 8, 2),
    ];
    expect(over('reachable', [1, 2, 5, 6, 8], ...told)).toEqual([
      {},
      { email: day(2) },
      { email: day(2) },
      { email: day(4) },
      {},
    ]);
  });

  test('each kind by itself', () => {
    const told = [registered(1), add('phone', 2, 1), add('post', 3, 2), add('email', 4, 3)];
    expect(at(5, ...told)?.reachable).toEqual({ email: day(4), phone: day(2), post: day(3) });
  });

  test('added and removed in the same moment: it is not there', () => {
    expect(over('reachable', [2, 3], registered(1), add('email', 2), remove('email', 2))).toEqual([
      {},
      {},
    ]);
  });
});

describe('restriction', () => {
  test('of everything, and of some purposes, in order of keys', () => {
    const told = [
      registered(1),
      restrict(2, ['study', 'news']),
      restrict(3, ['news', 'ads']),
      restrict(4),
    ];
    expect(over('restricted', [1, 2, 3, 4, 5], ...told)).toEqual([
      [],
      ['news', 'study'],
      ['ads', 'news', 'study'],
      'all',
      'all',
    ]);
  });

  test('is lifted all at once; in one moment it stays', () => {
    expect(
      over('restricted', [3, 4], registered(1), restrict(2), restrict(3, ['news']), lift(4)),
    ).toEqual(['all', []]);
    expect(at(2, registered(1), lift(2), restrict(2))?.restricted).toBe('all');
    expect(at(2, registered(1), restrict(2), lift(2))?.restricted).toBe('all');
  });

  test('a restriction that arrives late does not outlive a lifting after it', () => {
    expect(over('restricted', [2, 4], registered(1), lift(3), restrict(2))).toEqual(['all', []]);
  });
});

describe('objection to all marketing', () => {
  test('holds until it is taken back; in one moment it stays', () => {
    const told = [registered(1), object(2, 'marketing'), takeBack(4, 'marketing')];
    expect(over('objectsToMarketing', [1, 2, 3, 4], ...told)).toEqual([false, true, true, false]);
    const tied = [registered(1), takeBack(2, 'marketing'), object(2, 'marketing')];
    expect(at(2, ...tied)?.objectsToMarketing).toBe(true);
  });

  test('one to a single purpose is none to all marketing', () => {
    expect(at(3, registered(1), object(2, 'this purpose'))?.objectsToMarketing).toBe(false);
  });
});

describe('topics', () => {
  test('on, off or unset, per topic and channel', () => {
    const told = [
      registered(1),
      on('weekly', 'email', 2),
      off('weekly', 'sms', 3),
      on('offers', 'sms', 4),
    ];
    expect(over('topics', [1, 5], ...told)).toEqual([
      {},
      { weekly: { email: 'on', sms: 'off' }, offers: { sms: 'on' } },
    ]);
  });

  test('the latest counts, whenever it was told; in one moment off does', () => {
    const told = [registered(1), off('weekly', 'email', 4), on('weekly', 'email', 2)];
    expect(over('topics', [3, 4], ...told)).toEqual([
      { weekly: { email: 'on' } },
      { weekly: { email: 'off' } },
    ]);
    for (const tied of [
      [on('weekly', 'email', 2), off('weekly', 'email', 2)],
      [off('weekly', 'email', 2), on('weekly', 'email', 2)],
    ])
      expect(at(2, registered(1), ...tied)?.topics).toEqual({ weekly: { email: 'off' } });
  });

  test('a key that every object has is a key like any other', () => {
    expect(at(3, registered(1), on('constructor', 'email', 2))?.topics).toEqual({
      constructor: { email: 'on' },
    });
  });
});

describe('erasure', () => {
  test('counts from the destruction of the key; kinds of contact points and topics of earlier days stay', () => {
    const told = [registered(1), add('email', 2), on('weekly', 'email', 2), destroyKeys(5)];
    expect(over('erased', [1, 4, 5, 6], ...told)).toEqual([false, false, true, true]);
    expect(at(4, ...told)).toEqual(at(4, ...told.slice(0, -1)));
  });
});

test('the destruction counts from when it was done, not from when the ledger learned of it', () => {
  const late = history([registered(1), destroyKeys(5)]).map((event) => ({
    ...event,
    recordedAt: day(9),
  }));
  expect(personAt(personSpans(factsOf(late)), day(6))?.erased).toBe(true);
});

test('after the keys are destroyed nothing changes, whatever a clock that was ahead put there', () => {
  const told = [registered(1), add('email', 6), on('weekly', 'email', 7), destroyKeys(5)];
  expect(spansOf(...told).map(({ from, erased }) => [from, erased])).toEqual([
    [day(1), false],
    [day(5), true],
  ]);
});

test('a span ends where anything changes, and only there', () => {
  const told = [
    registered(1),
    add('email', 2),
    on('weekly', 'email', 3),
    // Says what holds already.
    on('weekly', 'email', 4),
    lift(5),
    object(6, 'marketing'),
    destroyKeys(7),
  ];
  expect(spansOf(...told).map(({ from }) => from)).toEqual([1, 2, 3, 6, 7].map(day));
});
