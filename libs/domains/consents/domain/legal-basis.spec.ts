import { describe, expect, test } from '@jest/globals';
import type { Fact } from '#core/kernel/event.js';
import { type Instant, type Period, parsePeriod } from '#core/kernel/instant.js';
import { given, recorded } from '#core/kernel/spec.js';
import type { ConsentEvent, LegalBasis } from './consents.events.js';
import { type BasisStatus, STATUSES } from './consents.vocabulary.js';
import { personFacts } from './facts.js';
import { type BasisStatement, expiryOf, stateBasis, violationsOf } from './legal-basis.js';

const day = (n: number) => `2026-03-0${n}T12:00:00.000Z` as Instant;
const about = { purpose: 'news', purposeRevision: 4 };

const ALL: readonly LegalBasis[] = [
  'consent',
  'contract',
  'legal-obligation',
  'vital-interests',
  'public-task',
  'legitimate-interests',
];
const STATUS_NAMES = Object.keys(STATUSES) as BasisStatus[];

const purpose = { key: 'news', revision: 4, marketing: false, allowedBases: ALL };
const state = (
  basis: LegalBasis,
  status: BasisStatus,
  more: Partial<BasisStatement> = {},
): BasisStatement => ({
  purpose,
  basis,
  status,
  at: day(2),
  ...more,
});
const codes = (statement: BasisStatement) =>
  violationsOf(statement).map(({ pointer, code }) => `${pointer} ${code}`);
/** What every statement needs somewhere. */
const proved = { reference: 'section 5', assessment: 'balanced' };

describe('each of the six has a life of its own', () => {
  const LIVES: Readonly<Record<LegalBasis, readonly BasisStatus[]>> = {
    consent: ['requested', 'given', 'refused', 'withdrawn', 'renewed', 'invalidated', 'unknown'],
    contract: ['established', 'ended'],
    'legal-obligation': ['established', 'ended'],
    'vital-interests': ['established', 'ended'],
    'public-task': ['asserted', 'objected', 'upheld', 'ended'],
    'legitimate-interests': ['asserted', 'objected', 'upheld', 'ended'],
  };

  test.each(ALL)('%s', (basis) => {
    const known = STATUS_NAMES.filter((status) => codes(state(basis, status, proved)).length === 0);
    expect(known).toEqual(LIVES[basis]);
    for (const status of STATUS_NAMES.filter((one) => !LIVES[basis].includes(one)))
      expect(codes(state(basis, status, proved))).toContain('/status status-not-of-basis');
  });
});

describe('what a statement must say', () => {
  test('only legal obligation and public task must name the law', () => {
    const wanting = ALL.filter((basis) =>
      STATUS_NAMES.some((status) =>
        codes(state(basis, status, { assessment: 'balanced' })).includes(
          '/reference reference-required',
        ),
      ),
    );
    expect(wanting).toEqual(['legal-obligation', 'public-task']);
    expect(codes(state('legal-obligation', 'established'))).toEqual([
      '/reference reference-required',
    ]);
    expect(codes(state('public-task', 'asserted'))).toEqual(['/reference reference-required']);
    expect(codes(state('legal-obligation', 'ended'))).toEqual([]);
    expect(codes(state('contract', 'established'))).toEqual([]);
  });

  test('legitimate interests without an assessment still hold', () => {
    expect(codes(state('legitimate-interests', 'asserted'))).toEqual([]);
  });

  test('upheld needs grounds: a reference, an assessment or a comment', () => {
    expect(codes(state('legitimate-interests', 'upheld'))).toEqual([
      '/assessment grounds-required',
    ]);
    expect(codes(state('legitimate-interests', 'upheld', { reference: 'case 7' }))).toEqual([]);
    expect(codes(state('legitimate-interests', 'upheld', { assessment: 'compelling' }))).toEqual(
      [],
    );
    expect(
      codes(state('public-task', 'upheld', { testimony: { comment: 'see the file' } })),
    ).toEqual([]);
  });

  test('validUntil lies after the beginning', () => {
    expect(codes(state('contract', 'established', { validUntil: day(3) }))).toEqual([]);
    for (const validUntil of [day(2), day(1)])
      expect(codes(state('contract', 'established', { validUntil }))).toEqual([
        '/validUntil ends-before-it-begins',
      ]);
  });

  test('validUntil goes with what holds, not with what ends or was never known', () => {
    const open = STATUS_NAMES.filter((status) =>
      ALL.some(
        (basis) => codes(state(basis, status, { ...proved, validUntil: day(3) })).length === 0,
      ),
    );
    expect(open).toEqual(['given', 'established', 'asserted']);
  });

  test('consent can be asked for and given only where the purpose may rest on it; a no is always heard', () => {
    const elsewhere = { purpose: { ...purpose, allowedBases: ['contract'] } } as const;
    const barred = STATUSES_OF_CONSENT.filter((status) =>
      codes(state('consent', status, elsewhere)).includes('/basis basis-not-allowed'),
    );
    expect(barred).toEqual(['requested', 'given']);
  });

  test('all that is wrong is said at once, and nothing is decided', () => {
    const wrong = state('legal-obligation', 'established', { validUntil: day(1) });
    expect(codes(wrong)).toEqual([
      '/reference reference-required',
      '/validUntil ends-before-it-begins',
    ]);
    expect(() => stateBasis(wrong)).toThrow(
      expect.objectContaining({ kind: 'invalid', code: 'reference-required' }),
    );
  });
});

const STATUSES_OF_CONSENT = STATUS_NAMES.filter((status) =>
  (STATUSES[status] as readonly LegalBasis[]).includes('consent'),
);

const fact = (type: ConsentEvent['type'], data: object): Fact<ConsentEvent> =>
  ({ type, occurredAt: day(2), data: { ...about, ...data } }) as Fact<ConsentEvent>;
const becomes = (
  statement: BasisStatement,
  then: Fact<ConsentEvent>,
  ...history: readonly Fact<ConsentEvent>[]
) =>
  given(personFacts, ...history)
    .when(stateBasis(statement))
    .then(then);

describe('what a statement becomes', () => {
  test('of consent: the choice that it tells of', () => {
    becomes(state('consent', 'requested'), fact('ConsentRequested', {}));
    becomes(state('consent', 'given'), fact('ConsentGiven', { noticeEvidence: 'none' }));
    becomes(state('consent', 'refused'), fact('ConsentRefused', {}));
    becomes(state('consent', 'withdrawn'), fact('ConsentWithdrawn', {}));
    becomes(state('consent', 'renewed'), fact('ConsentRenewed', {}));
    becomes(
      state('consent', 'unknown'),
      fact('LegalBasisEstablished', { basis: 'consent', status: 'unknown' }),
    );
  });

  test('of consent: found invalid is found so of the grant', () => {
    const grant = fact('ConsentGiven', { noticeEvidence: 'none' });
    becomes(
      state('consent', 'invalidated'),
      fact('ConsentInvalidated', { grant: recorded(grant).id }),
      grant,
    );
    given(personFacts)
      .when(stateBasis(state('consent', 'invalidated')))
      .thenRefused('no-consent-given');
  });

  test('of consent: reference and assessment are kept as evidence', () => {
    becomes(
      state('consent', 'withdrawn', { ...proved, testimony: { comment: 'by letter' } }),
      fact('ConsentWithdrawn', { comment: 'by letter', evidence: proved }),
    );
  });

  test.each(['contract', 'legal-obligation', 'vital-interests'] as const)('of %s', (basis) => {
    const terms = { reference: 'section 5', validUntil: day(9) };
    becomes(
      state(basis, 'established', terms),
      fact('LegalBasisEstablished', { basis, status: 'established', ...terms }),
    );
    becomes(
      state(basis, 'ended', { reference: 'cancelled' }),
      fact('LegalBasisEnded', { basis, reference: 'cancelled' }),
    );
  });

  test.each(['public-task', 'legitimate-interests'] as const)('of %s', (basis) => {
    becomes(
      state(basis, 'asserted', proved),
      fact('LegalBasisEstablished', { basis, status: 'asserted', ...proved }),
    );
    becomes(state(basis, 'upheld', proved), fact('ObjectionUpheldAgainst', { basis, ...proved }));
    becomes(state(basis, 'ended'), fact('LegalBasisEnded', { basis }));
    becomes(state(basis, 'objected'), {
      type: 'ObjectionRaised',
      occurredAt: day(2),
      data: { scope: 'purpose', purpose: 'news' },
    });
  });

  test('of a purpose of marketing: an objection to it is never overruled', () => {
    given(personFacts)
      .when(
        stateBasis(
          state('legitimate-interests', 'upheld', {
            ...proved,
            purpose: { ...purpose, marketing: true },
          }),
        ),
      )
      .thenRefused('objection-absolute');
  });
});

describe('expiry: n months from the time it counts from, by the rule in force when it was recorded', () => {
  const period = (text: string) => parsePeriod(text) as Period;
  const months = (text: string, from: string) =>
    expiryOf(period(text), `${from}T08:30:00.000Z` as Instant);

  test.each([
    ['the same day of that month', 'P24M', '2024-03-15', '2026-03-15'],
    ['also across a leap day', 'P12M', '2024-02-28', '2025-02-28'],
    ['else its last: of a short month', 'P1M', '2026-01-31', '2026-02-28'],
    ['else its last: of February in a leap year', 'P1M', '2024-01-31', '2024-02-29'],
    ['else its last: a year after a leap day', 'P12M', '2024-02-29', '2025-02-28'],
    ['else its last: of a month with thirty days', 'P6M', '2026-03-31', '2026-09-30'],
    ['the same day where the last was not meant', 'P1M', '2026-02-28', '2026-03-28'],
    ['over the turn of the year', 'P13M', '2025-12-31', '2027-01-31'],
  ])('%s: %s after %s', (_, rule, from, until) => {
    expect(months(rule, from)).toBe(`${until}T08:30:00.000Z`);
  });

  test('without a rule there is none', () => {
    expect(expiryOf(undefined, day(1))).toBeUndefined();
  });

  const limited = { ...purpose, expiresAfter: period('P1M') };
  const monthLater = '2026-04-02T12:00:00.000Z' as Instant;

  test('a grant and a renewal carry it', () => {
    becomes(
      state('consent', 'given', { purpose: limited }),
      fact('ConsentGiven', { noticeEvidence: 'none', expiresAt: monthLater }),
    );
    becomes(
      state('consent', 'renewed', { purpose: limited }),
      fact('ConsentRenewed', { expiresAt: monthLater }),
    );
  });

  test('validUntil ends a consent by itself, whichever comes first', () => {
    becomes(
      state('consent', 'given', { validUntil: day(9) }),
      fact('ConsentGiven', { noticeEvidence: 'none', expiresAt: day(9) }),
    );
    becomes(
      state('consent', 'given', { purpose: limited, validUntil: day(9) }),
      fact('ConsentGiven', { noticeEvidence: 'none', expiresAt: day(9) }),
    );
    const late = '2027-01-01T00:00:00.000Z' as Instant;
    becomes(
      state('consent', 'given', { purpose: limited, validUntil: late }),
      fact('ConsentGiven', { noticeEvidence: 'none', expiresAt: monthLater }),
    );
  });
});
