import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import type { Event, Recorded } from '#core/kernel/event.js';
import type { ContactPointId, EventId, NoticeId, OperationId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { type Decision, fold, type Model } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import { personalFieldsChangeNoDecision, retryDecidesNothingNew } from '#core/kernel/spec.js';
import {
  announceExpiry,
  confirmConsent,
  endBasis,
  giveConsent,
  invalidateConsent,
  raiseObjection,
  refuseConsent,
  renewConsent,
  requestConsent,
  setBasis,
  takeBackObjection,
  upholdBasis,
  withdrawConsent,
} from '#domains/consents/domain/choices.js';
import type { LegalBasis, ObjectionScope } from '#domains/consents/domain/consents.events.js';
import { type BasisStatus, STATUSES } from '#domains/consents/domain/consents.vocabulary.js';
import { personFacts, type PersonFacts } from '#domains/consents/domain/facts.js';
import { stateBasis, violationsOf } from '#domains/consents/domain/legal-basis.js';
import {
  approveErasure,
  completeErasure,
  type Erasure,
  erasure,
  recordDestruction,
  refuseErasure,
  requestErasure,
} from '#domains/erasure/domain/erasure.js';
import { type Switches, switches, switchTopic } from '#domains/preferences/domain/preferences.js';
import { LEGAL_BASES } from '#domains/purposes/domain/purposes.events.js';
import { eventCatalogue } from '#domains/slices.js';
import {
  addContactPoint,
  liftRestriction,
  mustBeRegistered,
  rectify,
  register,
  removeContactPoint,
  restrict,
  type Subject,
  subject,
} from '#domains/subjects/domain/subjects.js';
import { RESTRICTION_GROUNDS } from '#domains/subjects/domain/subjects.events.js';
import { anyLife, historyOf, MOMENTS, PURPOSES, subjectOf, TOPICS } from './histories.js';
import type { History } from './oracle.js';

/** `LAW_RUNS` asks for more lives than a build has time for. */
const RUNS = Number(process.env.LAW_RUNS ?? 200);

jest.setTimeout(60_000 + RUNS * 100);

/** Where a decision could be taken on what is random: the same few moments and targets as the histories have. */
const at = fc.constantFrom(...MOMENTS);
const purpose = fc.constantFrom(...PURPOSES);
const said = fc.record({
  purpose,
  purposeRevision: fc.constant(0),
  at,
  testimony: fc.option(
    fc.constant({ collectionPoint: 'shop-1', comment: 'words', evidence: { form: 1 } }),
    {
      nil: undefined,
    },
  ),
});
const notice = fc.option(
  fc.record({
    id: fc.constant('ntc_00000000-0000-7000-8000-000000000000' as NoticeId),
    version: fc.constantFrom(1, 2),
    language: fc.constant('de'),
  }),
  { nil: undefined },
);
const confirmation = fc.record({
  method: fc.constantFrom('double-opt-in' as const, 'signed-form' as const),
  at,
});
const end = fc.option(at, { nil: undefined });
const basis = fc.constantFrom(...LEGAL_BASES);
const otherBasis = fc.constantFrom(...LEGAL_BASES.filter((one) => one !== 'consent'));
const allowedBases = fc.constantFrom<readonly LegalBasis[]>(
  LEGAL_BASES,
  ['consent'],
  ['contract', 'public-task'],
);
const grounds = fc.record({
  reference: fc.option(fc.constant('section 5'), { nil: undefined }),
  assessment: fc.option(fc.constant('balanced'), { nil: undefined }),
});
const scope: fc.Arbitrary<ObjectionScope> = fc.oneof(
  fc.constant({ scope: 'marketing' as const }),
  purpose.map((key) => ({ scope: 'purpose' as const, purpose: key })),
);
const operationId = fc.constantFrom(
  ...[0, 1].map((n) => `op_00000000-0000-7000-8000-00000000000${n}` as OperationId),
);
const contactPointId = fc.constantFrom(
  ...[0, 1, 2, 3].map((n) => `cpt_00000000-0000-7000-8000-00000000000${n}` as ContactPointId),
);
const contactPoint = contactPointId.map((id) => ({
  contactPointId: id,
  kind: 'email' as const,
  value: 'a@example.org',
}));
const anyEvent = fc
  .nat(12)
  .map((n) => `evt_00000000-0000-7000-8000-${String(n).padStart(12, '0')}` as EventId);

type Decisions<State> = Readonly<Record<string, fc.Arbitrary<Decision<State, Event>>>>;

const CONSENTS: Decisions<PersonFacts> = {
  requestConsent: said.map(requestConsent),
  giveConsent: fc
    .tuple(
      said,
      fc.record({
        notice,
        noticeEvidence: fc.constantFrom(
          'complete' as const,
          'incomplete' as const,
          'none' as const,
        ),
        confirmation: fc.option(confirmation, { nil: undefined }),
        expiresAt: end,
      }),
    )
    .map(([one, terms]) => giveConsent({ ...one, ...terms })),
  confirmConsent: fc
    .tuple(said, confirmation, end)
    .map(([one, how, expiresAt]) => confirmConsent({ ...one, confirmation: how, expiresAt })),
  refuseConsent: fc
    .tuple(said, notice)
    .map(([one, shown]) => refuseConsent({ ...one, notice: shown })),
  withdrawConsent: said.map(withdrawConsent),
  renewConsent: fc
    .tuple(said, notice, end)
    .map(([one, shown, expiresAt]) => renewConsent({ ...one, notice: shown, expiresAt })),
  invalidateConsent: said.map(invalidateConsent),
  announceExpiry: fc.tuple(purpose, anyEvent, at).map((input) => announceExpiry(...input)),
  setBasis: fc
    .tuple(said, basis, grounds, end, allowedBases)
    .map(([one, of, why, validUntil, may]) =>
      setBasis({ ...one, basis: of, status: 'established', ...why, validUntil, allowedBases: may }),
    ),
  endBasis: fc.tuple(said, otherBasis).map(([one, of]) => endBasis({ ...one, basis: of })),
  upholdBasis: fc
    .tuple(
      said,
      fc.constantFrom('public-task' as const, 'legitimate-interests' as const),
      grounds,
      allowedBases,
      fc.boolean(),
    )
    .map(([one, of, why, may, marketing]) =>
      upholdBasis({ ...one, basis: of, ...why, allowedBases: may, marketing }),
    ),
  raiseObjection: fc.tuple(scope, at).map(([to, when]) => raiseObjection({ to, at: when })),
  takeBackObjection: fc.tuple(scope, at).map(([to, when]) => takeBackObjection({ to, at: when })),
  stateBasis: fc
    .record({
      purpose: fc.record({
        key: purpose,
        revision: fc.constant(0),
        marketing: fc.boolean(),
        allowedBases,
      }),
      basis,
      status: fc.constantFrom(...(Object.keys(STATUSES) as BasisStatus[])),
      at,
      reference: fc.option(fc.constant('section 5'), { nil: undefined }),
      assessment: fc.option(fc.constant('balanced'), { nil: undefined }),
    })
    .filter((statement) => violationsOf(statement).length === 0)
    .map(stateBasis),
};

const PREFERENCES: Decisions<Switches> = {
  switchTopic: fc
    .record({
      topic: fc.constantFrom(...TOPICS),
      channel: fc.constantFrom('email' as const, 'sms' as const),
      on: fc.boolean(),
      at,
    })
    .map(switchTopic),
};

const SUBJECTS: Decisions<Subject> = {
  register: fc
    .array(contactPoint, { maxLength: 2 })
    .map((contactPoints) => register({ subjectId: subjectOf(0), name: 'Ada', contactPoints })),
  addContactPoint: contactPoint.map(addContactPoint),
  removeContactPoint: contactPointId.map(removeContactPoint),
  restrict: fc
    .record({
      ground: fc.constantFrom(...RESTRICTION_GROUNDS),
      purposes: fc.option(fc.subarray([...PURPOSES], { minLength: 1 }), { nil: undefined }),
      at,
      note: fc.constant('words'),
    })
    .map(restrict),
  liftRestriction: fc.constant(liftRestriction()),
  mustBeRegistered: fc.constant(mustBeRegistered()),
};

/** Cannot be idempotent by itself: see the specification of the decision. */
const RECTIFY: Decisions<Subject> = {
  rectify: fc.constant(rectify({ name: 'Ada', language: 'en' })),
};

const ERASURE: Decisions<Erasure> = {
  requestErasure: fc
    .record({
      operationId,
      ground: fc.constant('objected' as const),
      note: fc.constant('words'),
      dutiesToRetain: fc.constant([]),
      approved: fc.boolean(),
    })
    .map(requestErasure),
  approveErasure: fc.constant(approveErasure()),
  refuseErasure: fc
    .constantFrom('legal-claims' as const, 'archiving' as const)
    .map((reason) => refuseErasure(reason, 'words')),
  recordDestruction: at.map((destroyedAt) =>
    recordDestruction({ keyIds: ['k'], destroyedAt, epoch: 1 }),
  ),
  completeErasure: fc.constant(completeErasure()),
};

const life = anyLife('news');

/** An erasure in every state it can be in: the histories above end with keys destroyed, or without any. */
const cut = fc.tuple(life, fc.nat(3)).map(([one, less]) => {
  const history = historyOf(one);
  return history.slice(0, Math.max(1, history.length - less));
});

const personal = (type: string): readonly string[] =>
  Object.keys(eventCatalogue.get(type)?.sealed ?? {});

/** A repetition that is refused decides nothing either: somebody is registered, or nothing is left to lift. */
function orRefused<State>(decide: Decision<State, Event>): Decision<State, Event> {
  return (state) => {
    try {
      return decide(state);
    } catch (error) {
      if (error instanceof Refused) return [];
      throw error;
    }
  };
}

function laws<State>(of: Model<State, Event>, decisions: Decisions<State>): void {
  test.each(Object.keys(decisions))('%s: a retry decides nothing new', (name) => {
    fc.assert(
      fc.property(
        cut,
        decisions[name] as fc.Arbitrary<Decision<State, Event>>,
        (history, decide) => {
          retryDecidesNothingNew(of, history as readonly Recorded[], orRefused(decide));
        },
      ),
      { numRuns: RUNS },
    );
  });

  personalFields(of, decisions);
}

function personalFields<State>(of: Model<State, Event>, decisions: Decisions<State>): void {
  test.each(Object.keys(decisions))(
    '%s: personal fields, sealed or erased, change nothing',
    (name) => {
      fc.assert(
        fc.property(
          cut,
          decisions[name] as fc.Arbitrary<Decision<State, Event>>,
          (history, decide) => {
            personalFieldsChangeNoDecision(of, told(history), personal, decide);
          },
        ),
        { numRuns: RUNS },
      );
    },
  );
}

/** The same history with words wherever something personal can be said. */
function told(history: History): readonly Recorded[] {
  return (history as readonly Recorded[]).map((event) => {
    const words = Object.fromEntries(personal(event.type).map((field) => [field, 'words']));
    return { ...event, data: { ...words, ...event.data } };
  });
}

const forAny = <State, E extends Event>(of: Model<State, E>) =>
  of as unknown as Model<State, Event>;

describe('consents', () => laws(forAny(personFacts), CONSENTS));
describe('preferences', () => laws(forAny(switches), PREFERENCES));
describe('subjects', () => {
  laws(forAny(subject), SUBJECTS);
  personalFields(forAny(subject), RECTIFY);
});
describe('erasure', () => laws(forAny(erasure), ERASURE));

describe('the laws can fail', () => {
  test('a decision that looks at the present state only records a late fact twice', () => {
    const naive: Decision<PersonFacts, Event> = (state) => {
      const last = state.purposes.news?.consent.at(-1);
      return last?.kind === 'withdrawn' && last.at === MOMENTS[0]
        ? []
        : [
            {
              type: 'ConsentWithdrawn',
              occurredAt: MOMENTS[0] as Instant,
              data: { purpose: 'news' },
            },
            {
              type: 'ConsentRequested',
              occurredAt: MOMENTS[1] as Instant,
              data: { purpose: 'news' },
            },
          ];
    };
    expect(() => retryDecidesNothingNew(forAny(personFacts), [], naive)).toThrow('a retry decided');
  });

  test('a model that looks into a comment decides by it', () => {
    const nosy: Model<{ readonly read: string }, Event> = {
      name: 'nosy',
      initial: { read: '' },
      evolve: {
        ConsentWithdrawn: (_: object, event: Recorded) => ({ read: JSON.stringify(event.data) }),
      },
    } as unknown as Model<{ readonly read: string }, Event>;
    const decide: Decision<{ readonly read: string }, Event> = ({ read }) =>
      read.includes('erased') ? [] : [{ type: 'ConsentRequested', data: {} }];
    const said = historyOf({
      registeredAt: 0,
      happenings: [{ what: 'withdraw', at: 0, then: 0, purpose: 'news', pick: 0 }],
    });
    expect(fold(nosy, said as readonly Recorded[]).read).toContain('news');
    expect(() => personalFieldsChangeNoDecision(nosy, told(said), personal, decide)).toThrow(
      'erased',
    );
  });
});
