import { expect, test } from '@jest/globals';
import type { Recorded } from '#core/kernel/event.js';
import { newId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { causeOf, type Difference, differencesOf, type StandingThen } from './comparison.js';

const day = (n: number) => `2026-02-${String(n).padStart(2, '0')}T00:00:00.000Z` as Instant;
const at = (n: number, position = '9') => ({ asOf: day(n), position: position as Position });
const event = (type: string, n: number, position: string, data: object = {}) =>
  ({ id: newId('evt'), type, occurredAt: day(n), position, data }) as unknown as Recorded;
const marketing = (purpose: string) => purpose === 'newsletter';

const before: StandingThen = {
  registered: false,
  erased: false,
  objectsToMarketing: false,
  restricted: [],
  contactKinds: [],
  topics: {},
  purposes: [],
};
const no = { allowed: false, code: 'no-basis', reasons: ['no-basis'], bases: [] };
const newsletter: Difference = { what: 'purpose', purpose: 'newsletter' };

test('whoever stands alike does not differ', () => {
  expect(differencesOf(before, structuredClone(before))).toEqual([]);
});

test('every part in which a standing can differ is told, as it was and as it became', () => {
  const after: StandingThen = {
    registered: true,
    erased: true,
    objectsToMarketing: true,
    restricted: ['newsletter'],
    contactKinds: ['email'],
    topics: { offers: { email: 'on', sms: undefined } },
    purposes: [{ purpose: 'newsletter', ...no }],
  };
  expect(differencesOf(before, after)).toEqual([
    { what: 'registered', from: false, to: true },
    { what: 'erased', from: false, to: true },
    { what: 'marketing-objection', from: false, to: true },
    { what: 'restriction', from: [], to: ['newsletter'] },
    { what: 'contact-kind', kind: 'email', from: false, to: true },
    { what: 'topic', topic: 'offers', channel: 'email', from: 'unset', to: 'on' },
    { what: 'purpose', purpose: 'newsletter', to: { purpose: 'newsletter', ...no } },
  ]);
  const kinds = (some: readonly Difference[]) => some.map(({ what }) => what);
  expect(kinds(differencesOf(after, before))).toEqual(kinds(differencesOf(before, after)));
});

test('what happened or was learned between made the difference, and nothing else', () => {
  const earlier = event('ConsentGiven', 1, '1', { purpose: 'newsletter' });
  const happened = event('ConsentWithdrawn', 5, '2', { purpose: 'newsletter' });
  const learned = event('ConsentRefused', 1, '3', { purpose: 'newsletter' });
  const other = event('ConsentGiven', 5, '4', { purpose: 'profiling' });
  const objection = event('ObjectionRaised', 5, '5', { scope: 'marketing' });
  const all = [earlier, happened, learned, other, objection];
  const cause = (from: ReturnType<typeof at>, to: ReturnType<typeof at>) =>
    causeOf(newsletter, all, [from, to], marketing);
  expect(cause(at(3), at(7))).toEqual({ events: [happened, objection], byTime: false });
  expect(cause(at(7), at(3))).toEqual({ events: [happened, objection], byTime: false });
  expect(cause(at(3, '1'), at(3, '3'))).toEqual({ events: [learned], byTime: false });
  const billing: Difference = { what: 'purpose', purpose: 'billing' };
  expect(causeOf(billing, all, [at(3), at(7)], marketing)).toEqual({ events: [], byTime: true });
});

test('the rules of a purpose hold from when they are known, its retirement from its day', () => {
  const revised = event('PurposeRevised', 20, '6', { key: 'newsletter' });
  const retired = event('PurposeRetired', 5, '7', { key: 'newsletter' });
  const all = [revised, retired];
  expect(causeOf(newsletter, all, [at(3), at(7)], marketing).events).toEqual([retired]);
  expect(causeOf(newsletter, all, [at(3, '5'), at(3, '6')], marketing).events).toEqual([revised]);
});

test('where nothing came between, time did it: the events are those that set the term', () => {
  const grant = event('ConsentGiven', 1, '1', { purpose: 'newsletter' });
  const basis = { event: { id: grant.id as string } };
  const expired: Difference = {
    what: 'purpose',
    purpose: 'newsletter',
    from: { purpose: 'newsletter', ...no, bases: [{ ...basis, status: 'given' } as typeof basis] },
    to: { purpose: 'newsletter', ...no, bases: [{ ...basis, status: 'expired' } as typeof basis] },
  };
  const moments = [at(3), at(7)] as const;
  expect(causeOf(expired, [grant], moments, marketing)).toEqual({ events: [grant], byTime: true });
});
