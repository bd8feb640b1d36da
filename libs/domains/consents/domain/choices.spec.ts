import { describe, expect, test } from '@jest/globals';
import type { Fact, Recorded } from '#core/kernel/event.js';
import type { EventId, NoticeId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { given as givenHistory, recorded } from '#core/kernel/spec.js';
import {
  announceExpiry,
  confirmConsent,
  endBasis,
  type Given,
  giveConsent,
  invalidateConsent,
  raiseObjection,
  refuseConsent,
  renewConsent,
  requestConsent,
  setBasis,
  swapRefused,
  takeBackObjection,
  upholdBasis,
  withdrawConsent,
} from './choices.js';
import type { ConsentEvent, LegalBasis, NoticeShown, ObjectionScope } from './consents.events.js';
import { personFacts, type PersonFacts } from './facts.js';

/** The facts of one history here are recorded in the order in which they stand. */
const given = (...history: readonly (Fact<ConsentEvent> | Recorded)[]) =>
  givenHistory(personFacts, ...history);

const day = (n: number) => `2026-03-0${n}T12:00:00.000Z` as Instant;
const idOf = (index: number) => recorded({ type: 'Any', data: {} }, index).id;
const said = (n: number) => ({ purpose: 'news', purposeRevision: 4, at: day(n) });
const about = { purpose: 'news', purposeRevision: 4 };

const notice = (version: number, language = 'de'): NoticeShown => ({
  id: 'ntc_00000000-0000-8000-8000-000000000001' as NoticeId,
  version,
  language,
  hash: 'aa',
});
const doubleOptIn = (n: number) => ({ method: 'double-opt-in', at: day(n) }) as const;
const signed = (n: number) => ({ method: 'signed-form', at: day(n) }) as const;

const fact = (type: ConsentEvent['type'], n: number, more: object = {}): Fact<ConsentEvent> =>
  ({ type, occurredAt: day(n), data: { ...about, ...more } }) as Fact<ConsentEvent>;

const grant = (n: number, more: Partial<Given> = {}) =>
  fact('ConsentGiven', n, { noticeEvidence: 'none', ...more });
const withEvidence = { notice: notice(1), noticeEvidence: 'complete' } as const;

type Decide = Decision<PersonFacts, ConsentEvent>;

/** A plain choice: its decision at a time, and the event that it becomes. */
const PLAIN: readonly (readonly [ConsentEvent['type'], (at: ReturnType<typeof said>) => Decide])[] =
  [
    ['ConsentRequested', requestConsent],
    ['ConsentRefused', refuseConsent],
    ['ConsentWithdrawn', withdrawConsent],
    ['ConsentRenewed', renewConsent],
  ];

describe.each(PLAIN)('%s', (type, decide) => {
  test('is recorded with its own time, also where nothing was said before', () => {
    given()
      .when(decide(said(2)))
      .then(fact(type, 2));
  });

  test('is recorded again when it repeats the present state', () => {
    given(fact(type, 2))
      .when(decide(said(3)))
      .then(fact(type, 3));
  });

  test('is recorded when it comes late, before and between others', () => {
    given(grant(1), fact(type, 5))
      .when(decide(said(3)))
      .then(fact(type, 3));
  });

  test('decides nothing where an equal fact is on record, wherever that lies', () => {
    given(fact(type, 2), grant(3), fact('ConsentWithdrawn', 4), fact(type, 5))
      .when(decide(said(2)))
      .then();
  });

  test('for another purpose is another fact', () => {
    given(fact(type, 2))
      .when(decide({ ...said(2), purpose: 'study' }))
      .then({ ...fact(type, 2), data: { ...about, purpose: 'study' } } as Fact<ConsentEvent>);
  });

  test('carries its testimony, which makes no fact another one', () => {
    const testimony = { collectionPoint: 'shop-1', evidence: { form: 7 }, comment: 'by phone' };
    given()
      .when(decide({ ...said(2), testimony } as ReturnType<typeof said>))
      .then(fact(type, 2, testimony));
    given(fact(type, 2))
      .when(decide({ ...said(2), testimony, purposeRevision: 9 } as ReturnType<typeof said>))
      .then();
  });
});

describe('a grant', () => {
  test('names the notice, how far it proves, the confirmation and its end', () => {
    const terms = { ...withEvidence, confirmation: doubleOptIn(3), expiresAt: day(9) };
    given()
      .when(giveConsent({ ...said(2), ...terms }))
      .then(grant(2, terms));
  });

  test('without evidence, and with incomplete evidence, is recorded', () => {
    given()
      .when(giveConsent({ ...said(2), noticeEvidence: 'none' }))
      .then(grant(2));
    const incomplete = { notice: notice(1), noticeEvidence: 'incomplete' } as const;
    given()
      .when(giveConsent({ ...said(2), ...incomplete }))
      .then(grant(2, incomplete));
  });

  test('is recorded again when it repeats the present state, and when it comes late', () => {
    given(grant(2), grant(6))
      .when(giveConsent({ ...said(4), noticeEvidence: 'none' }))
      .then(grant(4));
  });

  test('decides nothing where kind, target, time, notice and confirmation are equal', () => {
    given(grant(2))
      .when(giveConsent({ ...said(2), noticeEvidence: 'none' }))
      .then();
    const terms = { ...withEvidence, confirmation: doubleOptIn(3) };
    given(grant(2, terms), fact('ConsentWithdrawn', 3))
      .when(giveConsent({ ...said(2), ...terms, expiresAt: day(9) }))
      .then();
  });

  test.each([
    ['another version of the notice', { notice: notice(2), noticeEvidence: 'complete' }],
    ['the notice in another language', { notice: notice(1, 'en'), noticeEvidence: 'complete' }],
    ['no notice', { noticeEvidence: 'none' }],
    ['a confirmation', { ...withEvidence, confirmation: doubleOptIn(2) }],
  ] as const)('with %s is another fact', (_, terms) => {
    given(grant(2, withEvidence))
      .when(giveConsent({ ...said(2), ...terms }))
      .then(grant(2, terms));
  });

  test('confirmed at another time, or in another way, is another fact', () => {
    const before = grant(2, { ...withEvidence, confirmation: doubleOptIn(3) });
    for (const confirmation of [doubleOptIn(4), signed(3)])
      given(before)
        .when(giveConsent({ ...said(2), ...withEvidence, confirmation }))
        .then(grant(2, { ...withEvidence, confirmation }));
  });
});

describe('a confirmation that follows', () => {
  const confirmed = (n: number, method: ReturnType<typeof doubleOptIn | typeof signed>) =>
    fact('ConsentConfirmed', n, { confirmation: method });

  test('is a fact of the time of the confirmation, whenever it is told', () => {
    given(grant(1))
      .when(confirmConsent({ ...said(5), confirmation: doubleOptIn(2), expiresAt: day(9) }))
      .then(fact('ConsentConfirmed', 2, { confirmation: doubleOptIn(2), expiresAt: day(9) }));
  });

  test('is recorded where there is no grant yet: it waits', () => {
    given()
      .when(confirmConsent({ ...said(2), confirmation: doubleOptIn(2) }))
      .then(confirmed(2, doubleOptIn(2)));
  });

  test('decides nothing where the same confirmation is on record', () => {
    given(grant(1), confirmed(2, doubleOptIn(2)))
      .when(confirmConsent({ ...said(6), confirmation: doubleOptIn(2) }))
      .then();
  });

  test('in another way, or at another time, is another fact', () => {
    given(grant(1), confirmed(2, doubleOptIn(2)))
      .when(confirmConsent({ ...said(2), confirmation: signed(2) }))
      .then(confirmed(2, signed(2)));
    given(grant(1), confirmed(2, doubleOptIn(2)))
      .when(confirmConsent({ ...said(2), confirmation: doubleOptIn(3) }))
      .then(confirmed(3, doubleOptIn(3)));
  });
});

test('a refusal and a renewal with another notice are other facts', () => {
  given(fact('ConsentRefused', 2, { notice: notice(1) }))
    .when(refuseConsent({ ...said(2), notice: notice(2) }))
    .then(fact('ConsentRefused', 2, { notice: notice(2) }));
  given(fact('ConsentRefused', 2, { notice: notice(1) }))
    .when(refuseConsent({ ...said(2), notice: notice(1) }))
    .then();
  given(fact('ConsentRenewed', 2))
    .when(renewConsent({ ...said(2), notice: notice(1), expiresAt: day(9) }))
    .then(fact('ConsentRenewed', 2, { notice: notice(1), expiresAt: day(9) }));
});

describe('a finding that a consent was never valid', () => {
  const invalidated = (n: number, grantAt: number) =>
    fact('ConsentInvalidated', n, { grant: idOf(grantAt) });

  test('names the latest grant at or before it', () => {
    given(grant(1), grant(3), grant(5))
      .when(invalidateConsent(said(4)))
      .then(invalidated(4, 1));
    given(grant(1), grant(4))
      .when(invalidateConsent(said(4)))
      .then(invalidated(4, 1));
  });

  test('goes by the time of the grants, not by the order of recording', () => {
    given(grant(3), grant(1))
      .when(invalidateConsent(said(4)))
      .then(invalidated(4, 0));
  });

  test('of two grants in one moment it names the one that was recorded last', () => {
    given(grant(1), grant(1, { notice: notice(1), noticeEvidence: 'complete' }))
      .when(invalidateConsent(said(4)))
      .then(invalidated(4, 1));
  });

  test('is recorded though the consent was withdrawn since', () => {
    given(grant(1), fact('ConsentWithdrawn', 2))
      .when(invalidateConsent(said(4)))
      .then(invalidated(4, 0));
  });

  test('decides nothing when it is repeated, and does not reach for an earlier grant', () => {
    given(grant(1), grant(3), invalidated(4, 1))
      .when(invalidateConsent(said(4)))
      .then();
  });

  test('another one, at another time, finds the grant before', () => {
    given(grant(1), grant(3), invalidated(4, 1))
      .when(invalidateConsent(said(5)))
      .then(invalidated(5, 0));
  });

  test('at the same time finds a grant that came to light since: its target is another', () => {
    given(grant(1), invalidated(4, 0), grant(3))
      .when(invalidateConsent(said(4)))
      .then(invalidated(4, 2));
  });

  test('is refused where there is no grant that could be invalid', () => {
    given()
      .when(invalidateConsent(said(4)))
      .thenRefused('no-consent-given');
    given(grant(5))
      .when(invalidateConsent(said(4)))
      .thenRefused('no-consent-given');
    given(fact('ConsentRefused', 1))
      .when(invalidateConsent(said(4)))
      .thenRefused('no-consent-given');
    given(grant(1), invalidated(3, 0))
      .when(invalidateConsent(said(4)))
      .thenRefused('no-consent-given');
  });
});

test('the end of a consent by time is announced once for each grant', () => {
  const announced = (index: number): Fact<ConsentEvent> => ({
    type: 'ConsentExpired',
    occurredAt: day(4),
    data: { purpose: 'news', grant: idOf(index) as EventId },
  });
  given(grant(1))
    .when(announceExpiry('news', idOf(0), day(4)))
    .then(announced(0));
  given(grant(1), announced(0))
    .when(announceExpiry('news', idOf(0), day(4)))
    .then();
  given(grant(1), announced(0), grant(2))
    .when(announceExpiry('news', idOf(2), day(4)))
    .then(announced(2));
});

const ALL: readonly LegalBasis[] = [
  'consent',
  'contract',
  'legal-obligation',
  'vital-interests',
  'public-task',
  'legitimate-interests',
];
const balanced = (basis: LegalBasis) => basis === 'public-task' || basis === 'legitimate-interests';
const statusOf = (basis: LegalBasis) => (balanced(basis) ? 'asserted' : 'established');
const setting = (basis: LegalBasis, n: number) =>
  ({ ...said(n), basis, status: statusOf(basis), allowedBases: ALL }) as const;
const established = (basis: LegalBasis, n: number, more: object = {}) =>
  fact('LegalBasisEstablished', n, { basis, status: statusOf(basis), ...more });
const changed = (basis: LegalBasis, n: number, more: object = {}) =>
  fact('LegalBasisChanged', n, { basis, status: statusOf(basis), ...more });
const ended = (basis: LegalBasis, n: number) => fact('LegalBasisEnded', n, { basis });
const swap = (basis: LegalBasis, n: number, more: object = {}) =>
  fact('BasisSwapRefused', n, { basis, ...more });

const BESIDE_CONSENT = ALL.filter((basis) => basis !== 'consent');
const BARRED = ['contract', 'public-task', 'legitimate-interests'] as const;
const NEVER_BARRED = ['legal-obligation', 'vital-interests'] as const;

describe('a legal basis is set', () => {
  test.each(BESIDE_CONSENT)('%s, with all that it rests on', (basis) => {
    const terms = { reference: 'section 5', assessment: 'balanced', validUntil: day(9) };
    given()
      .when(setBasis({ ...setting(basis, 2), ...terms }))
      .then(established(basis, 2, terms));
  });

  test('setting one touches that one alone: the others are neither ended nor named', () => {
    given(established('contract', 1), established('vital-interests', 1))
      .when(setBasis(setting('legal-obligation', 2)))
      .then(established('legal-obligation', 2));
  });

  test('one that stands is changed, one that ended is established again', () => {
    given(established('contract', 1))
      .when(setBasis(setting('contract', 2)))
      .then(changed('contract', 2));
    given(established('contract', 1), ended('contract', 2))
      .when(setBasis(setting('contract', 3)))
      .then(established('contract', 3));
  });

  test('an equal fact decides nothing; another end is another fact', () => {
    given(established('contract', 2))
      .when(setBasis(setting('contract', 2)))
      .then();
    given(established('contract', 2))
      .when(setBasis({ ...setting('contract', 2), validUntil: day(9) }))
      .then(changed('contract', 2, { validUntil: day(9) }));
  });

  test('a late one is recorded', () => {
    given(established('contract', 3))
      .when(setBasis(setting('contract', 1)))
      .then(changed('contract', 1));
  });

  test('one that the purpose may not rest on is refused', () => {
    given()
      .when(setBasis({ ...setting('contract', 2), allowedBases: ['consent'] }))
      .thenRefused('basis-not-allowed');
  });

  test('a consent of unknown state can be set beside a consent, once for each time', () => {
    const unknown = { ...setting('consent', 2), status: 'unknown' } as const;
    const recordedUnknown = fact('LegalBasisEstablished', 2, {
      basis: 'consent',
      status: 'unknown',
    });
    given(grant(1)).when(setBasis(unknown)).then(recordedUnknown);
    given(grant(1), recordedUnknown).when(setBasis(unknown)).then();
  });
});

describe('once consent was asked of a person for a purpose, no other basis can be set for it', () => {
  /** In whatever status. */
  const ASKED: readonly (readonly [string, readonly Fact<ConsentEvent>[]])[] = [
    ['requested', [fact('ConsentRequested', 1)]],
    ['given', [grant(1)]],
    ['given, and not confirmed', [grant(1, { noticeEvidence: 'none' })]],
    ['confirmed before it was given', [fact('ConsentConfirmed', 1, { confirmation: signed(1) })]],
    ['refused', [fact('ConsentRefused', 1)]],
    ['withdrawn', [fact('ConsentWithdrawn', 1)]],
    ['renewed', [fact('ConsentRenewed', 1)]],
    ['invalidated', [grant(1), fact('ConsentInvalidated', 1, { grant: idOf(0) })]],
    ['expired', [grant(1, { expiresAt: day(1) })]],
    ['unknown', [fact('LegalBasisEstablished', 1, { basis: 'consent', status: 'unknown' })]],
  ];

  describe.each(ASKED)('%s', (_, history) => {
    test.each(BARRED)('the attempt to set %s is recorded', (basis) => {
      given(...history)
        .when(setBasis({ ...setting(basis, 2), reference: 'section 5', assessment: 'balanced' }))
        .then(swap(basis, 2, { reference: 'section 5' }));
    });

    test.each(NEVER_BARRED)('except %s', (basis) => {
      given(...history)
        .when(setBasis(setting(basis, 2)))
        .then(established(basis, 2));
    });
  });

  test('for another purpose it can', () => {
    given({ ...grant(1), data: { ...grant(1).data, purpose: 'study' } } as Fact<ConsentEvent>)
      .when(setBasis(setting('contract', 2)))
      .then(established('contract', 2));
  });

  test('also where it is said to hold since before, and where the basis stood already', () => {
    given(grant(3))
      .when(setBasis(setting('contract', 1)))
      .then(swap('contract', 1));
    given(established('contract', 1), grant(2))
      .when(setBasis(setting('contract', 3)))
      .then(swap('contract', 3));
  });

  test('which is checked before the list of allowed bases', () => {
    given(grant(1))
      .when(setBasis({ ...setting('contract', 2), allowedBases: ['consent'] }))
      .then(swap('contract', 2));
  });

  test('the same attempt is recorded once, and known as refused', () => {
    given(grant(1), swap('contract', 2))
      .when(setBasis(setting('contract', 2)))
      .then();
    given(grant(1), swap('contract', 2))
      .when(setBasis(setting('contract', 3)))
      .then(swap('contract', 3));
    const history = [grant(1), swap('contract', 2)].map((one, index) => recorded(one, index));
    given(...history).when((state) => {
      expect(swapRefused(state, { purpose: 'news', basis: 'contract', at: day(2) })).toBe(true);
      expect(swapRefused(state, { purpose: 'news', basis: 'contract', at: day(3) })).toBe(false);
      expect(swapRefused(state, { purpose: 'news', basis: 'public-task', at: day(2) })).toBe(false);
      expect(swapRefused(state, { purpose: 'study', basis: 'contract', at: day(2) })).toBe(false);
      return [];
    });
  });

  test('what was set before consent was asked can still be set again at that very time: nothing new', () => {
    given(established('contract', 1), grant(2))
      .when(setBasis(setting('contract', 1)))
      .then();
  });
});

describe('a legal basis ends', () => {
  const end = (n: number) => endBasis({ ...said(n), basis: 'contract', reference: 'cancelled' });
  const over = (n: number) =>
    fact('LegalBasisEnded', n, { basis: 'contract', reference: 'cancelled' });

  test('whether it was set or not, early or late: what was set before may still be on its way', () => {
    given().when(end(2)).then(over(2));
    given(established('contract', 1)).when(end(2)).then(over(2));
    given(established('contract', 3)).when(end(2)).then(over(2));
  });

  test('an equal fact decides nothing, the end of another basis is another fact', () => {
    given(established('contract', 1), over(2)).when(end(2)).then();
    given(ended('vital-interests', 2)).when(end(2)).then(over(2));
  });

  test('also after consent was asked', () => {
    given(established('contract', 1), grant(2)).when(end(3)).then(over(3));
  });
});

describe('an objection', () => {
  const TO: readonly (readonly [string, ObjectionScope])[] = [
    ['all marketing', { scope: 'marketing' }],
    ['one purpose', { scope: 'purpose', purpose: 'news' }],
  ];
  const raised = (to: ObjectionScope, n: number): Fact<ConsentEvent> => ({
    type: 'ObjectionRaised',
    occurredAt: day(n),
    data: to,
  });
  const back = (to: ObjectionScope, n: number): Fact<ConsentEvent> => ({
    type: 'ObjectionWithdrawn',
    occurredAt: day(n),
    data: to,
  });

  test.each(TO)('to %s is always recorded: at first, again, and late', (_, to) => {
    given()
      .when(raiseObjection({ to, at: day(2) }))
      .then(raised(to, 2));
    given(raised(to, 2))
      .when(raiseObjection({ to, at: day(3) }))
      .then(raised(to, 3));
    given(raised(to, 3))
      .when(raiseObjection({ to, at: day(1) }))
      .then(raised(to, 1));
  });

  test.each(TO)('to %s is taken back, also where none is on record', (_, to) => {
    given(raised(to, 1))
      .when(takeBackObjection({ to, at: day(2) }))
      .then(back(to, 2));
    given()
      .when(takeBackObjection({ to, at: day(2) }))
      .then(back(to, 2));
  });

  test.each(TO)('to %s: an equal fact decides nothing', (_, to) => {
    given(raised(to, 1), back(to, 2))
      .when(raiseObjection({ to, at: day(1) }))
      .then();
    given(raised(to, 1), back(to, 2))
      .when(takeBackObjection({ to, at: day(2) }))
      .then();
  });

  test('to marketing and to one purpose of it are two facts', () => {
    const [[, all], [, one]] = TO as [(typeof TO)[number], (typeof TO)[number]];
    given(raised(all, 1))
      .when(raiseObjection({ to: one, at: day(1) }))
      .then(raised(one, 1));
    given(raised(one, 1))
      .when(raiseObjection({ to: all, at: day(1) }))
      .then(raised(all, 1));
  });

  test('carries its testimony', () => {
    const to = { scope: 'marketing' } as const;
    given()
      .when(raiseObjection({ to, at: day(2), testimony: { comment: 'by letter' } }))
      .then({ ...raised(to, 2), data: { ...to, comment: 'by letter' } } as Fact<ConsentEvent>);
  });
});

describe('an objection is overruled: the basis is upheld', () => {
  const upholding = (n: number) => ({
    ...said(n),
    basis: 'legitimate-interests' as const,
    reference: 'case 7',
    assessment: 'compelling',
    allowedBases: ALL,
    marketing: false,
  });
  const upheld = (n: number) =>
    fact('ObjectionUpheldAgainst', n, {
      basis: 'legitimate-interests',
      reference: 'case 7',
      assessment: 'compelling',
    });
  const objected: Fact<ConsentEvent> = {
    type: 'ObjectionRaised',
    occurredAt: day(1),
    data: { scope: 'purpose', purpose: 'news' },
  };

  test('with its grounds', () => {
    given(established('legitimate-interests', 1), objected)
      .when(upholdBasis(upholding(2)))
      .then(upheld(2));
  });

  test('an equal fact decides nothing; for the other basis, and at another time, it is another', () => {
    given(objected, upheld(2))
      .when(upholdBasis(upholding(2)))
      .then();
    given(objected, upheld(2))
      .when(upholdBasis(upholding(3)))
      .then(upheld(3));
    given(objected, upheld(2))
      .when(upholdBasis({ ...upholding(2), basis: 'public-task' }))
      .then({
        ...upheld(2),
        data: { ...upheld(2).data, basis: 'public-task' },
      } as Fact<ConsentEvent>);
  });

  test('never for direct marketing', () => {
    given(objected)
      .when(upholdBasis({ ...upholding(2), marketing: true }))
      .thenRefused('objection-absolute');
  });

  test('not with a basis that the purpose may not rest on', () => {
    given(objected)
      .when(upholdBasis({ ...upholding(2), allowedBases: ['contract'] }))
      .thenRefused('basis-not-allowed');
  });

  test('not once consent was asked: that would put this basis in its place', () => {
    given(objected, grant(1))
      .when(upholdBasis({ ...upholding(2), allowedBases: [], marketing: true }))
      .then(swap('legitimate-interests', 2, { reference: 'case 7' }));
  });
});

test('a purpose whose key every object has is a purpose like any other', () => {
  const key = { ...said(1), purpose: 'constructor' };
  given()
    .when(withdrawConsent(key))
    .then({
      ...fact('ConsentWithdrawn', 1),
      data: { ...about, purpose: 'constructor' },
    } as Fact<ConsentEvent>);
});
