/**
 * Random lives of a data subject, for the laws: few distinct moments, so that ties are common, and facts in
 * an order of recording that has nothing to do with the order in which they happened.
 */
import fc from 'fast-check';
import type { Fact } from '#core/kernel/event.js';
import {
  type ContactPointId,
  type EventId,
  type NoticeId,
  type OperationId,
  streamOf,
  type SubjectId,
} from '#core/kernel/ids.js';
import { type Instant, instantOf, millisecondsOf } from '#core/kernel/instant.js';
import { recorded } from '#core/kernel/spec.js';
import { erased } from '#core/kernel/pii.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind } from '#domains/subjects/domain/subjects.events.js';
import type { Asked, History, PersonEvent, Rules, Topic } from './oracle.js';

export const MOMENTS = [1, 2, 3, 4, 5, 6].map((day) => `2026-03-0${day}T12:00:00.000Z` as Instant);

/** The people that histories are about, by number. */
export const subjectOf = (who: number) =>
  `sub_00000000-0000-7000-8000-${String(who).padStart(12, '0')}` as SubjectId;

export const PURPOSES = ['news', 'study'] as const;
export type PurposeKey = (typeof PURPOSES)[number];

const CONTACTS = (['email', 'email', 'phone', 'post'] as const).map((kind, n) => ({
  id: `cpt_00000000-0000-7000-8000-00000000000${n}` as ContactPointId,
  kind: kind satisfies ContactKind,
}));

export const TOPICS = ['weekly', 'offers'] as const;
const CHANNELS = ['email', 'sms', 'phone', 'post', 'push'] as const satisfies readonly Channel[];

const BASES = [
  'contract',
  'legal-obligation',
  'vital-interests',
  'public-task',
  'legitimate-interests',
] as const;
const NOTICE = 'ntc_00000000-0000-7000-8000-000000000000' as NoticeId;
const OPERATION = 'op_00000000-0000-7000-8000-000000000000' as OperationId;

/** One thing that happened; what does not fit what came before is left out when the history is made. */
export interface Happening {
  readonly what: (typeof WHAT)[number];
  /** Index into the moments. */
  readonly at: number;
  /** Index of another moment: of a confirmation, an end, or none. */
  readonly then: number;
  readonly purpose: PurposeKey;
  /** A choice among what the kind of happening leaves open. */
  readonly pick: number;
}

/** How often each kind is drawn: what decides most about consent comes most often. */
const WHAT = [
  'give',
  'give',
  'give',
  'give',
  'give-confirmed',
  'give-confirmed',
  'confirm',
  'confirm',
  'confirm',
  'refuse',
  'withdraw',
  'withdraw',
  'request',
  'renew',
  'renew',
  'invalidate',
  'unknown',
  'set',
  'set',
  'set',
  'end',
  'uphold',
  'object-marketing',
  'object-marketing',
  'object-purpose',
  'object-purpose',
  'unobject-marketing',
  'unobject-purpose',
  'restrict',
  'restrict-some',
  'lift',
  'add-contact',
  'add-contact',
  'remove-contact',
  'topic',
  'topic',
] as const;

const happeningOf = (
  moments: number,
  what: readonly Happening['what'][],
  purposes: readonly PurposeKey[],
): fc.Arbitrary<Happening> =>
  fc.record({
    what: fc.constantFrom(...what),
    at: fc.nat(moments - 1),
    then: fc.nat(moments),
    purpose: fc.constantFrom(...purposes),
    pick: fc.nat(59),
  });

export interface Life {
  /** Index into the moments. */
  readonly registeredAt: number;
  readonly happenings: readonly Happening[];
  /** The moment in which the keys are destroyed, if at all. */
  readonly erasedAt?: number;
}

const seldom = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...values) },
  );

/** Anything, for two purposes. */
const wideLife: fc.Arbitrary<Life> = fc.record({
  registeredAt: fc.constantFrom(0, 0, 0, 1, 2, 4),
  happenings: fc.array(happeningOf(MOMENTS.length, WHAT, ['news', 'news', 'study']), {
    maxLength: 14,
  }),
  erasedAt: seldom(3, 4, 5),
});

/** Much about one purpose in hardly any time: whatever can meet in one moment does. */
const denseLife = (purpose: PurposeKey): fc.Arbitrary<Life> =>
  fc.record({
    registeredAt: fc.constant(0),
    happenings: fc.array(
      happeningOf(
        4,
        WHAT.filter((what) => !/contact|topic/.test(what)),
        [purpose],
      ),
      { maxLength: 10 },
    ),
  });

/** Somebody who agreed and can be reached, to whom then a little happens: here small things decide. */
const reachedLife = (purpose: PurposeKey): fc.Arbitrary<Life> => {
  const one = (...what: readonly Happening['what'][]) =>
    happeningOf(MOMENTS.length, what, [purpose]);
  return fc
    .tuple(
      fc.constantFrom(0, 0, 2),
      fc.array(one('add-contact'), { minLength: 2, maxLength: 5 }),
      fc.array(one('give', 'give-confirmed', 'set'), { minLength: 1, maxLength: 2 }),
      fc.array(one('topic'), { minLength: 1, maxLength: 3 }),
      fc.array(one(...WHAT), { maxLength: 3 }),
      seldom(5),
    )
    .map(([registeredAt, contacts, grants, topics, then, erasedAt]) => ({
      registeredAt,
      happenings: [...contacts, ...grants, ...topics, ...then],
      erasedAt,
    }));
};

/** A life of any kind, most of it about this purpose. */
export const anyLife = (purpose: PurposeKey): fc.Arbitrary<Life> =>
  fc.oneof(wideLife, denseLife(purpose), reachedLife(purpose));

type Made = Fact<PersonEvent> & { readonly occurredAt: Instant };

/** The events of a life in the order in which they were recorded. */
export function historyOf({ registeredAt, happenings, erasedAt }: Life, who = 0): History {
  const facts: Made[] = [
    {
      type: 'SubjectRegistered',
      occurredAt: momentOf(registeredAt),
      data: { subjectId: subjectOf(who) },
    },
  ];
  for (const one of happenings) {
    const fact = factOf(one, facts, who);
    if (fact) facts.push(fact);
  }
  if (erasedAt !== undefined) {
    const destroyedAt = momentOf(Math.max(erasedAt, registeredAt));
    const operationId = OPERATION;
    facts.push(
      {
        type: 'ErasureRequested',
        occurredAt: destroyedAt,
        data: { operationId, ground: 'objected', dutiesToRetain: [] },
      },
      { type: 'ErasureApproved', occurredAt: destroyedAt, data: { operationId } },
      {
        type: 'KeyDestroyed',
        occurredAt: destroyedAt,
        data: { operationId, keyIds: [], destroyedAt, epoch: 1 },
      },
    );
  }
  return facts.map((fact, index) =>
    recorded(fact, index, { id: idAt(index, who), stream: streamOf('subject', subjectOf(who)) }),
  ) as unknown as History;
}

/**
 * The same facts, learned of in another order. Registration stays first, the end of the keys last, and a
 * contact point is added before it is removed: the ledger can not learn of these otherwise.
 */
export function inOrderOf(history: History, priorities: readonly number[]): History {
  const fixed = (type: string) => /^(Subject|ContactPoint|Erasure|Key)/.test(type);
  const free = history
    .filter(({ type }) => !fixed(type))
    .map((event, index) => ({ event, priority: priorities[index % priorities.length] ?? 0 }))
    .sort((a, b) => a.priority - b.priority)
    .map(({ event }) => event);
  const slots = history.map((event) =>
    fixed(event.type) ? event : (free.shift() as typeof event),
  );
  return slots.map((event, index) => {
    const { revision, position } = history[index] as typeof event;
    return { ...event, revision, position };
  }) as unknown as History;
}

/** The id that the fact at this index of somebody's history is recorded under. */
const idAt = (index: number, who: number) =>
  `evt_${String(who).padStart(8, '0')}-0000-7000-8000-${String(index + 1).padStart(12, '0')}` as EventId;

function factOf(
  { what, at: moment, then, purpose, pick }: Happening,
  before: readonly Made[],
  who: number,
): Made | undefined {
  const occurredAt = momentOf(moment);
  const said = { purpose, purposeRevision: 0 };
  const ends = then > moment && then < MOMENTS.length ? momentOf(then) : undefined;
  const noticeEvidence =
    (['complete', 'complete', 'complete', 'incomplete', 'none'] as const)[pick % 5] ?? 'none';
  const notice =
    noticeEvidence === 'none' ? undefined : { id: NOTICE, version: 1 + (pick % 2), language: 'de' };
  const method = pick % 2 ? 'double-opt-in' : 'signed-form';
  const basis = BASES[pick % BASES.length] as (typeof BASES)[number];
  switch (what) {
    case 'give':
      return {
        type: 'ConsentGiven',
        occurredAt,
        data: { ...said, notice, noticeEvidence, expiresAt: ends },
      };
    case 'give-confirmed': {
      const at = momentOf(Math.max(moment, Math.min(then, moment + (pick % 3))));
      return {
        type: 'ConsentGiven',
        occurredAt,
        data: { ...said, notice, noticeEvidence, confirmation: { method, at }, expiresAt: ends },
      };
    }
    case 'confirm':
      return {
        type: 'ConsentConfirmed',
        occurredAt,
        data: { ...said, confirmation: { method, at: occurredAt }, expiresAt: ends },
      };
    case 'refuse':
      return { type: 'ConsentRefused', occurredAt, data: said };
    case 'withdraw':
      return { type: 'ConsentWithdrawn', occurredAt, data: said };
    case 'request':
      return { type: 'ConsentRequested', occurredAt, data: said };
    case 'renew':
      return { type: 'ConsentRenewed', occurredAt, data: { ...said, expiresAt: ends } };
    case 'invalidate': {
      const grants = before.flatMap((fact, index) =>
        fact.type === 'ConsentGiven' && fact.data.purpose === purpose ? [idAt(index, who)] : [],
      );
      const grant = grants[pick % Math.max(1, grants.length)];
      return grant && { type: 'ConsentInvalidated', occurredAt, data: { ...said, grant } };
    }
    case 'unknown':
      return {
        type: 'LegalBasisEstablished',
        occurredAt,
        data: { ...said, basis: 'consent', status: 'unknown' },
      };
    case 'set': {
      const balanced = basis === 'public-task' || basis === 'legitimate-interests';
      const status = balanced ? 'asserted' : 'established';
      const type = pick % 2 ? 'LegalBasisChanged' : 'LegalBasisEstablished';
      return {
        type,
        occurredAt,
        data: { ...said, basis, status, validUntil: pick % 3 ? undefined : ends },
      };
    }
    case 'end':
      return { type: 'LegalBasisEnded', occurredAt, data: { ...said, basis } };
    case 'uphold':
      return {
        type: 'ObjectionUpheldAgainst',
        occurredAt,
        data: { ...said, basis: pick % 2 ? 'public-task' : 'legitimate-interests' },
      };
    case 'object-marketing':
      return { type: 'ObjectionRaised', occurredAt, data: { scope: 'marketing' } };
    case 'object-purpose':
      return { type: 'ObjectionRaised', occurredAt, data: { scope: 'purpose', purpose } };
    case 'unobject-marketing':
      return { type: 'ObjectionWithdrawn', occurredAt, data: { scope: 'marketing' } };
    case 'unobject-purpose':
      return { type: 'ObjectionWithdrawn', occurredAt, data: { scope: 'purpose', purpose } };
    case 'restrict':
      return { type: 'ProcessingRestricted', occurredAt, data: { ground: 'unlawful' } };
    case 'restrict-some':
      return {
        type: 'ProcessingRestricted',
        occurredAt,
        data: { ground: 'legal-claims', purposes: pick % 4 ? [purpose] : [...PURPOSES] },
      };
    case 'lift':
      return { type: 'RestrictionLifted', occurredAt, data: {} };
    case 'add-contact': {
      const contact = CONTACTS[pick % CONTACTS.length];
      if (
        !contact ||
        before.some(
          (fact) => fact.type === 'ContactPointAdded' && fact.data.contactPointId === contact.id,
        )
      )
        return undefined;
      const { id: contactPointId, kind } = contact;
      return {
        type: 'ContactPointAdded',
        occurredAt,
        data: { contactPointId, kind, value: erased },
      };
    }
    case 'remove-contact': {
      const added = before.flatMap((fact) =>
        fact.type === 'ContactPointAdded' ? [fact.data] : [],
      );
      const gone = before.flatMap((fact) =>
        fact.type === 'ContactPointRemoved' ? [fact.data.contactPointId] : [],
      );
      const there = added.filter(({ contactPointId }) => !gone.includes(contactPointId));
      const point = there[pick % Math.max(1, there.length)];
      if (!point) return undefined;
      const { contactPointId, kind } = point;
      return { type: 'ContactPointRemoved', occurredAt, data: { contactPointId, kind } };
    }
    case 'topic': {
      const data = {
        topic: TOPICS[pick % TOPICS.length] as string,
        channel: CHANNELS[pick % CHANNELS.length] as Channel,
      };
      return { type: pick % 3 ? 'TopicSwitchedOn' : 'TopicSwitchedOff', occurredAt, data };
    }
  }
}

function momentOf(index: number): Instant {
  return MOMENTS[Math.min(index, MOMENTS.length - 1)] as Instant;
}

/** All moments at which an answer could change, and one millisecond beside each. */
export const ALL_TIMES: readonly Instant[] = MOMENTS.flatMap((at) =>
  [-1, 0, 1].map((beside) => instantOf(millisecondsOf(at) + beside)),
);

/** Every variant of the rules that an answer depends on. */
export const rulesOf = (key: PurposeKey): fc.Arbitrary<Rules> =>
  fc.record({
    key: fc.constant(key),
    marketing: fc.boolean(),
    doubleOptIn: fc.boolean(),
    minimumEvidence: fc.constantFrom('none' as const, 'notice' as const),
    channels: fc.subarray([...CHANNELS], { minLength: 2 }),
    retiredAt: seldom(...MOMENTS.slice(3)),
  });

export const topic: fc.Arbitrary<Topic> = fc.record({
  key: fc.constantFrom(...TOPICS),
  unset: fc.constantFrom('off' as const, 'follows-purpose' as const),
  retiredAt: seldom(...MOMENTS.slice(3)),
});

/** What can be asked: no channel, or a channel with or without a topic. */
export function questionsAbout(
  of: Topic,
): { readonly channel?: Channel; readonly topic?: Topic }[] {
  return CHANNELS.flatMap((channel) => [{}, { channel }, { channel, topic: of }]);
}

/** A counterexample, to be read. */
export function shown(history: History, asked: Asked): string {
  const events = history.map(
    ({ position, occurredAt, type, data }) =>
      `${position} at ${occurredAt.slice(8, 10)}: ${type} ${JSON.stringify(data)}`,
  );
  return [...events, JSON.stringify(asked)].join('\n');
}
