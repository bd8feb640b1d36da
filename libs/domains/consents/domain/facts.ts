import type { EventId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { ignored, model, type Own } from '#core/kernel/model.js';
import type { Position } from '#core/kernel/position.js';
import type { ErasureEvent } from '#domains/erasure/domain/erasure.events.js';
import type { PreferenceEvent } from '#domains/preferences/domain/preferences.events.js';
import type { Channel, LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind, SubjectEvent } from '#domains/subjects/domain/subjects.events.js';
import type { ConsentEvent, NoticeShown } from './consents.events.js';

/**
 * What a person's stream says, sorted by what it bears on and otherwise as it was recorded. Nothing is
 * judged here: in which order facts count, and what they amount to, is `standing.ts`.
 */
export interface PersonFacts {
  readonly registered?: FactOf<'registered'>;
  readonly erased?: FactOf<'erased'>;
  /** By purpose key. */
  readonly purposes: Readonly<Record<string, PurposeFacts>>;
  /** Objections to all direct marketing. */
  readonly marketing: readonly ObjectionFact[];
  readonly restrictions: readonly RestrictionFact[];
  /** By id, which never comes back once it was removed. */
  readonly contactPoints: Readonly<Record<string, ContactPointFact>>;
  readonly topics: readonly TopicFact[];
}

export interface PurposeFacts {
  readonly consent: readonly ConsentFact[];
  readonly bases: readonly BasisFact[];
  readonly objections: readonly ObjectionFact[];
  /** Attempts to put another basis in the place of consent. */
  readonly swaps: readonly { readonly basis: LegalBasis; readonly at: Instant }[];
  /** The events of consents whose end by time was announced. */
  readonly announced: readonly EventId[];
}

/** The event that a fact rests on. */
export interface Pointer {
  readonly id: EventId;
  readonly position: Position;
}

interface FactOf<Kind extends string> {
  readonly kind: Kind;
  /** When it counts from. */
  readonly at: Instant;
  readonly by: Pointer;
}

export type ConsentFact =
  | FactOf<'requested' | 'withdrawn' | 'unknown'>
  | (FactOf<'refused'> & { readonly notice?: string })
  | (FactOf<'given'> & {
      readonly notice?: string;
      readonly noticeEvidence: 'complete' | 'incomplete' | 'none';
      readonly confirmation?: { readonly method: string; readonly at: Instant };
      readonly expiresAt?: Instant;
    })
  | (FactOf<'confirmed'> & { readonly method: string; readonly expiresAt?: Instant })
  | (FactOf<'renewed'> & { readonly notice?: string; readonly expiresAt?: Instant })
  | (FactOf<'invalidated'> & { readonly grant: EventId });

export type BasisFact = FactOf<'set' | 'ended'> & {
  readonly basis: Exclude<LegalBasis, 'consent'>;
  readonly validUntil?: Instant;
  /** Whether a balancing test is on record. */
  readonly assessed: boolean;
};

export type ObjectionFact = FactOf<'raised' | 'withdrawn' | 'upheld'> & {
  /** The basis that was upheld. */
  readonly basis?: LegalBasis;
};

export type RestrictionFact = FactOf<'restricted' | 'lifted'> & {
  readonly ground?: string;
  /** Absent: all purposes. */
  readonly purposes?: readonly string[];
};

export interface ContactPointFact {
  readonly kind: ContactKind;
  readonly from: Instant;
  readonly to?: Instant;
  readonly verified?: boolean;
}

export type TopicFact = FactOf<'on' | 'off'> & {
  readonly topic: string;
  readonly channel: Channel;
};

const NOTHING: PurposeFacts = {
  consent: [],
  bases: [],
  objections: [],
  swaps: [],
  announced: [],
};

/** Without a prototype: `constructor` is a key like any other, and nothing is on record of it at first. */
function noPurposes(): Record<string, PurposeFacts> {
  return Object.create(null) as Record<string, PurposeFacts>;
}

/** What is on record of one purpose. */
export function factsOf(state: PersonFacts, purpose: string): PurposeFacts {
  return state.purposes[purpose] ?? NOTHING;
}

/** Two grants name the same notice when these agree. */
export function noticeKey(notice: NoticeShown | undefined): string | undefined {
  return notice && `${notice.id} ${notice.version} ${notice.language}`;
}

interface Met {
  readonly id: EventId;
  readonly position: Position;
  readonly occurredAt: Instant;
}

const met = <Kind extends string>(kind: Kind, event: Met): FactOf<Kind> => ({
  kind,
  at: event.occurredAt,
  by: { id: event.id, position: event.position },
});

function on<Kind extends keyof PurposeFacts>(
  own: Own,
  state: PersonFacts,
  purpose: string,
  kind: Kind,
  fact: PurposeFacts[Kind][number],
): PersonFacts {
  const facts = factsOf(state, purpose);
  const purposes = own(state.purposes);
  purposes[purpose] = { ...facts, [kind]: appended(own<unknown>(facts[kind]), fact) };
  return { ...state, purposes };
}

function appended<Item>(list: Item[], item: Item): readonly Item[] {
  list.push(item);
  return list;
}

type SetBasis = Met & {
  readonly data: {
    readonly purpose: string;
    readonly basis: LegalBasis;
    readonly validUntil?: Instant;
    readonly assessment?: object;
  };
};

function setBasis(state: PersonFacts, event: SetBasis, own: Own): PersonFacts {
  const { purpose, basis, validUntil, assessment } = event.data;
  if (basis === 'consent') return on(own, state, purpose, 'consent', met('unknown', event));
  const fact = { ...met('set', event), basis, validUntil, assessed: assessment !== undefined };
  return on(own, state, purpose, 'bases', fact);
}

function objection(
  kind: 'raised' | 'withdrawn',
  state: PersonFacts,
  event: Met & { readonly data: { scope: 'marketing' } | { scope: 'purpose'; purpose: string } },
  own: Own,
): PersonFacts {
  const fact = met(kind, event);
  return event.data.scope === 'marketing'
    ? { ...state, marketing: appended(own(state.marketing), fact) }
    : on(own, state, event.data.purpose, 'objections', fact);
}

function topic(
  kind: 'on' | 'off',
  state: PersonFacts,
  event: Met & { readonly data: { readonly topic: string; readonly channel: Channel } },
  own: Own,
): PersonFacts {
  const { topic: key, channel } = event.data;
  const fact = { ...met(kind, event), topic: key, channel };
  return { ...state, topics: appended(own(state.topics), fact) };
}

function contactPoint(
  state: PersonFacts,
  id: string,
  change: Partial<ContactPointFact>,
  own: Own,
): PersonFacts {
  const known = state.contactPoints[id];
  if (!known) return state;
  const contactPoints = own(state.contactPoints);
  contactPoints[id] = { ...known, ...change };
  return { ...state, contactPoints };
}

/** The model that decisions on consents and the read models fold a person's stream with. */
export const personFacts = model<
  SubjectEvent | ConsentEvent | PreferenceEvent | ErasureEvent
>()<PersonFacts>({
  name: 'person-facts',
  initial: {
    purposes: noPurposes(),
    marketing: [],
    restrictions: [],
    contactPoints: {},
    topics: [],
  },
  evolve: {
    SubjectRegistered: (state, event) => ({ ...state, registered: met('registered', event) }),
    ContactPointAdded: (state, event, own) => {
      const { contactPointId, kind } = event.data;
      const contactPoints = own(state.contactPoints);
      contactPoints[contactPointId] = { kind, from: event.occurredAt };
      return { ...state, contactPoints };
    },
    ContactPointRemoved: (state, event, own) =>
      contactPoint(state, event.data.contactPointId, { to: event.occurredAt }, own),
    ContactPointVerified: (state, event, own) =>
      contactPoint(state, event.data.contactPointId, { verified: true }, own),
    SubjectRectified: ignored,
    ProcessingRestricted: (state, event, own) => {
      const { ground, purposes } = event.data;
      const fact = { ...met('restricted', event), ground, purposes };
      return { ...state, restrictions: appended(own(state.restrictions), fact) };
    },
    RestrictionLifted: (state, event, own) => ({
      ...state,
      restrictions: appended(own(state.restrictions), met('lifted', event)),
    }),

    ConsentRequested: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', met('requested', event)),
    ConsentGiven: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', {
        ...met('given', event),
        notice: noticeKey(event.data.notice),
        noticeEvidence: event.data.noticeEvidence,
        confirmation: event.data.confirmation,
        expiresAt: event.data.expiresAt,
      }),
    ConsentConfirmed: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', {
        ...met('confirmed', event),
        at: event.data.confirmation.at,
        method: event.data.confirmation.method,
        expiresAt: event.data.expiresAt,
      }),
    ConsentRefused: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', {
        ...met('refused', event),
        notice: noticeKey(event.data.notice),
      }),
    ConsentWithdrawn: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', met('withdrawn', event)),
    ConsentRenewed: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', {
        ...met('renewed', event),
        notice: noticeKey(event.data.notice),
        expiresAt: event.data.expiresAt,
      }),
    ConsentExpired: (state, event, own) =>
      on(own, state, event.data.purpose, 'announced', event.data.grant),
    ConsentInvalidated: (state, event, own) =>
      on(own, state, event.data.purpose, 'consent', {
        ...met('invalidated', event),
        grant: event.data.grant,
      }),
    LegalBasisEstablished: setBasis,
    LegalBasisChanged: setBasis,
    LegalBasisEnded: (state, event, own) => {
      const { purpose, basis } = event.data;
      return basis === 'consent'
        ? on(own, state, purpose, 'consent', met('withdrawn', event))
        : on(own, state, purpose, 'bases', { ...met('ended', event), basis, assessed: false });
    },
    BasisSwapRefused: (state, event, own) =>
      on(own, state, event.data.purpose, 'swaps', {
        basis: event.data.basis,
        at: event.occurredAt,
      }),
    ObjectionRaised: (state, event, own) => objection('raised', state, event, own),
    ObjectionUpheldAgainst: (state, event, own) =>
      on(own, state, event.data.purpose, 'objections', {
        ...met('upheld', event),
        basis: event.data.basis,
      }),
    ObjectionWithdrawn: (state, event, own) => objection('withdrawn', state, event, own),

    TopicSwitchedOn: (state, event, own) => topic('on', state, event, own),
    TopicSwitchedOff: (state, event, own) => topic('off', state, event, own),

    ErasureRequested: ignored,
    ErasureRefused: ignored,
    ErasureApproved: ignored,
    KeyDestroyed: (state, event) => ({
      ...state,
      erased: { ...met('erased', event), at: event.data.destroyedAt },
    }),
    ErasureCompleted: ignored,
  },
});
