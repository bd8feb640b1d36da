import type { EventId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Recorded } from '#core/kernel/event.js';
import { evolve, ignored, model } from '#core/kernel/model.js';
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
  readonly contactPoints: readonly ContactPointFact[];
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
  readonly id: string;
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
  state: PersonFacts,
  purpose: string,
  kind: Kind,
  fact: PurposeFacts[Kind][number],
): PersonFacts {
  const facts = factsOf(state, purpose);
  const entry = { [purpose]: { ...facts, [kind]: [...facts[kind], fact] } };
  return { ...state, purposes: Object.assign(noPurposes(), state.purposes, entry) };
}

type SetBasis = Met & {
  readonly data: {
    readonly purpose: string;
    readonly basis: LegalBasis;
    readonly validUntil?: Instant;
    readonly assessment?: object;
  };
};

function setBasis(state: PersonFacts, event: SetBasis): PersonFacts {
  const { purpose, basis, validUntil, assessment } = event.data;
  return basis === 'consent'
    ? on(state, purpose, 'consent', met('unknown', event))
    : on(state, purpose, 'bases', {
        ...met('set', event),
        basis,
        validUntil,
        assessed: assessment !== undefined,
      });
}

function objection(
  kind: 'raised' | 'withdrawn',
  state: PersonFacts,
  event: Met & { readonly data: { scope: 'marketing' } | { scope: 'purpose'; purpose: string } },
): PersonFacts {
  const fact = met(kind, event);
  return event.data.scope === 'marketing'
    ? { ...state, marketing: [...state.marketing, fact] }
    : on(state, event.data.purpose, 'objections', fact);
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
    contactPoints: [],
    topics: [],
  },
  evolve: {
    SubjectRegistered: (state, event) => ({ ...state, registered: met('registered', event) }),
    ContactPointAdded: (state, event) => ({
      ...state,
      contactPoints: [
        ...state.contactPoints,
        { id: event.data.contactPointId, kind: event.data.kind, from: event.occurredAt },
      ],
    }),
    ContactPointRemoved: (state, event) => ({
      ...state,
      contactPoints: state.contactPoints.map((point) =>
        point.id === event.data.contactPointId ? { ...point, to: event.occurredAt } : point,
      ),
    }),
    ContactPointVerified: (state, event) => ({
      ...state,
      contactPoints: state.contactPoints.map((point) =>
        point.id === event.data.contactPointId ? { ...point, verified: true } : point,
      ),
    }),
    SubjectRectified: ignored,
    ProcessingRestricted: (state, event) => ({
      ...state,
      restrictions: [
        ...state.restrictions,
        {
          ...met('restricted', event),
          ground: event.data.ground,
          purposes: event.data.purposes,
        },
      ],
    }),
    RestrictionLifted: (state, event) => ({
      ...state,
      restrictions: [...state.restrictions, met('lifted', event)],
    }),

    ConsentRequested: (state, event) =>
      on(state, event.data.purpose, 'consent', met('requested', event)),
    ConsentGiven: (state, event) =>
      on(state, event.data.purpose, 'consent', {
        ...met('given', event),
        notice: noticeKey(event.data.notice),
        noticeEvidence: event.data.noticeEvidence,
        confirmation: event.data.confirmation,
        expiresAt: event.data.expiresAt,
      }),
    ConsentConfirmed: (state, event) =>
      on(state, event.data.purpose, 'consent', {
        ...met('confirmed', event),
        at: event.data.confirmation.at,
        method: event.data.confirmation.method,
        expiresAt: event.data.expiresAt,
      }),
    ConsentRefused: (state, event) =>
      on(state, event.data.purpose, 'consent', {
        ...met('refused', event),
        notice: noticeKey(event.data.notice),
      }),
    ConsentWithdrawn: (state, event) =>
      on(state, event.data.purpose, 'consent', met('withdrawn', event)),
    ConsentRenewed: (state, event) =>
      on(state, event.data.purpose, 'consent', {
        ...met('renewed', event),
        notice: noticeKey(event.data.notice),
        expiresAt: event.data.expiresAt,
      }),
    ConsentExpired: (state, event) => on(state, event.data.purpose, 'announced', event.data.grant),
    ConsentInvalidated: (state, event) =>
      on(state, event.data.purpose, 'consent', {
        ...met('invalidated', event),
        grant: event.data.grant,
      }),
    LegalBasisEstablished: setBasis,
    LegalBasisChanged: setBasis,
    LegalBasisEnded: (state, event) => {
      const { purpose, basis } = event.data;
      return basis === 'consent'
        ? on(state, purpose, 'consent', met('withdrawn', event))
        : on(state, purpose, 'bases', { ...met('ended', event), basis, assessed: false });
    },
    BasisSwapRefused: (state, event) =>
      on(state, event.data.purpose, 'swaps', { basis: event.data.basis, at: event.occurredAt }),
    ObjectionRaised: (state, event) => objection('raised', state, event),
    ObjectionUpheldAgainst: (state, event) =>
      on(state, event.data.purpose, 'objections', {
        ...met('upheld', event),
        basis: event.data.basis,
      }),
    ObjectionWithdrawn: (state, event) => objection('withdrawn', state, event),

    TopicSwitchedOn: (state, event) => ({
      ...state,
      topics: [
        ...state.topics,
        { ...met('on', event), topic: event.data.topic, channel: event.data.channel },
      ],
    }),
    TopicSwitchedOff: (state, event) => ({
      ...state,
      topics: [
        ...state.topics,
        { ...met('off', event), topic: event.data.topic, channel: event.data.channel },
      ],
    }),

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

/** Events that are folded at a time. */
const PIECE = 500;

/**
 * The facts of a stream of any length, read as it comes. What `fold` gives, in time that grows with the
 * stream: a state is never changed, so a fact behind thousands of others copies the list of them. Here
 * pieces are folded by themselves and their lists, which only grow, are put behind one another at the end.
 */
export async function factsOfMany(
  events: Iterable<Recorded> | AsyncIterable<Recorded>,
  piece = PIECE,
): Promise<PersonFacts> {
  const pieces: PersonFacts[] = [];
  let facts = personFacts.initial;
  let count = 0;
  for await (const event of events) {
    if (count > 0 && count % piece === 0) {
      pieces.push(facts);
      facts = { ...personFacts.initial, ...onceOf(facts) };
    }
    facts = evolve(personFacts, facts, event);
    count++;
  }
  return joined([...pieces, facts]);
}

/** What a later event can change, and not only add to. */
function onceOf({ registered, erased, contactPoints }: PersonFacts) {
  return { registered, erased, contactPoints };
}

/** Of pieces that each began with what can change as the one before them left it. */
function joined(pieces: readonly PersonFacts[]): PersonFacts {
  const purposes = noPurposes();
  const keys = new Set(pieces.flatMap((piece) => Object.keys(piece.purposes)));
  for (const key of keys) {
    const facts = pieces.map((piece) => factsOf(piece, key));
    purposes[key] = {
      consent: facts.flatMap(({ consent }) => consent),
      bases: facts.flatMap(({ bases }) => bases),
      objections: facts.flatMap(({ objections }) => objections),
      swaps: facts.flatMap(({ swaps }) => swaps),
      announced: facts.flatMap(({ announced }) => announced),
    };
  }
  return {
    ...onceOf(pieces.at(-1) as PersonFacts),
    purposes,
    marketing: pieces.flatMap(({ marketing }) => marketing),
    restrictions: pieces.flatMap(({ restrictions }) => restrictions),
    topics: pieces.flatMap(({ topics }) => topics),
  };
}
