import { expect, test } from '@jest/globals';
import type { Event } from './event.js';
import { model } from './model.js';
import { Refused } from './refused.js';
import {
  given,
  personalFieldsChangeNoDecision,
  recorded,
  retryDecidesNothingNew,
  rowsEqualFold,
} from './spec.js';

/** The helpers that others rely on must be able to fail. */

type Added = Event<'Added', { readonly amount: number }>;

const sum = model<Added>()({
  name: 'sum',
  initial: { sum: 0 },
  evolve: { Added: (state, { data }) => ({ sum: state.sum + data.amount }) },
});

const added = (amount: number) => ({ type: 'Added' as const, data: { amount } });
const fillUpTo = (goal: number) => (state: { sum: number }) => {
  if (goal < 0) throw new Refused('invalid', 'negative', 'no');
  return state.sum < goal ? [added(goal - state.sum)] : [];
};

test('then holds exactly and in order', () => {
  given(sum, added(1)).when(fillUpTo(3)).then(added(2));
  given(sum, added(3)).when(fillUpTo(3)).then();
  expect(() => given(sum).when(fillUpTo(3)).then()).toThrow('but decided');
  expect(() => given(sum).when(fillUpTo(3)).then(added(3), added(0))).toThrow('but decided');
  expect(() => given(sum).when(fillUpTo(3)).then(added(2))).toThrow('but decided');
});

test('thenRefused holds for that refusal only', () => {
  given(sum).when(fillUpTo(-1)).thenRefused('negative');
  expect(() => given(sum).when(fillUpTo(-1)).thenRefused('other')).toThrow(Refused);
  expect(() => given(sum).when(fillUpTo(1)).thenRefused('negative')).toThrow('but decided');
});

test('a decision that is not idempotent breaks the first law', () => {
  retryDecidesNothingNew(sum, [recorded(added(1))], fillUpTo(3));
  expect(() => retryDecidesNothingNew(sum, [], () => [added(1)])).toThrow('a retry decided');
});

test('a decision that looks at a personal field breaks the second law', () => {
  const nosy = model<Added>()({
    name: 'nosy',
    initial: { erased: false },
    evolve: {
      Added: (_, { data }) => ({
        erased: typeof data.amount === 'object' && 'erased' in data.amount,
      }),
    },
  });
  const history = [recorded(added(1))];
  const personal = () => ['amount'];
  expect(() =>
    personalFieldsChangeNoDecision(nosy, history, personal, (state) =>
      state.erased ? [] : [added(1)],
    ),
  ).toThrow('erased');
  personalFieldsChangeNoDecision(
    nosy,
    history,
    () => [],
    (state) => (state.erased ? [] : [added(1)]),
  );
});

test('a row too many, too few or different breaks the third law', () => {
  rowsEqualFold([{ a: 1, b: 2 }], [{ b: 2, a: 1 }]);
  expect(() => rowsEqualFold([{ a: 1 }], [])).toThrow('surplus');
  expect(() => rowsEqualFold([], [{ a: 1 }])).toThrow('missing');
  expect(() => rowsEqualFold([{ a: 1 }, { a: 1 }], [{ a: 1 }])).toThrow();
});
