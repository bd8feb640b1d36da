import type { Fact } from '#core/kernel/event.js';
import type { ContactPointId, ReceiptId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { type Decision, model } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import type {
  Collection,
  ContactKind,
  ExternalRef,
  RestrictionGround,
  SubjectEvent,
} from './subjects.events.js';

/** What decisions on a person's identity need to know. */
export interface Subject {
  readonly registered: boolean;
  /** The receipt of the registration. */
  readonly registration?: ReceiptId;
  readonly language?: string;
  readonly contactPoints: Readonly<
    Record<string, { readonly kind: ContactKind; readonly verified: boolean }>
  >;
  readonly restricted: boolean;
  /** Every restriction on record, in force or lifted: its ground, purposes and time. */
  readonly restrictions: readonly string[];
}

interface Restricting {
  readonly ground: RestrictionGround;
  readonly purposes?: readonly string[];
  readonly at: Instant;
}

/** Two restrictions are one fact where these agree. */
const restrictionKey = ({ ground, purposes, at }: Restricting) =>
  [ground, at, ...(purposes ? [...purposes].sort() : ['*'])].join(' ');

export const subject = model<SubjectEvent>()<Subject>({
  name: 'subject',
  initial: { registered: false, contactPoints: {}, restricted: false, restrictions: [] },
  evolve: {
    SubjectRegistered: (state, { data, interactionId }) => ({
      ...state,
      registered: true,
      registration: interactionId,
      language: data.language,
    }),
    ContactPointAdded: (state, { data }, own) => {
      const contactPoints = own(state.contactPoints);
      contactPoints[data.contactPointId] = { kind: data.kind, verified: false };
      return { ...state, contactPoints };
    },
    ContactPointRemoved: (state, { data }, own) => {
      const contactPoints = own(state.contactPoints);
      delete contactPoints[data.contactPointId];
      return { ...state, contactPoints };
    },
    ContactPointVerified: (state, { data }, own) => {
      const contactPoints = own(state.contactPoints);
      contactPoints[data.contactPointId] = { kind: data.kind, verified: true };
      return { ...state, contactPoints };
    },
    SubjectRectified: (state, { data }) => ({
      ...state,
      language: data.language ?? state.language,
    }),
    ProcessingRestricted: (state, { data, occurredAt: at }, own) => {
      const restrictions = own(state.restrictions);
      restrictions.push(restrictionKey({ ...data, at }));
      return { ...state, restricted: true, restrictions };
    },
    RestrictionLifted: (state) => ({ ...state, restricted: false }),
  },
});

type Decide = Decision<Subject, SubjectEvent>;

export interface ContactPoint {
  readonly contactPointId: ContactPointId;
  readonly kind: ContactKind;
  readonly value: string;
}

export interface Registration {
  readonly subjectId: SubjectId;
  readonly collection?: Collection;
  readonly origin?: string;
  readonly language?: string;
  readonly name?: string;
  readonly externalRefs?: readonly ExternalRef[];
  readonly contactPoints: readonly ContactPoint[];
}

export function register({ contactPoints, ...identity }: Registration): Decide {
  return ({ registered }) => {
    if (registered)
      throw new Refused('conflict', 'already-registered', 'this person is registered', {
        evidence: { subjectId: identity.subjectId },
      });
    return [
      { type: 'SubjectRegistered', data: identity },
      ...contactPoints.map((data) => ({ type: 'ContactPointAdded' as const, data })),
    ];
  };
}

export function addContactPoint(point: ContactPoint): Decide {
  return (state) =>
    point.contactPointId in state.contactPoints ? [] : [{ type: 'ContactPointAdded', data: point }];
}

export function removeContactPoint(contactPointId: ContactPointId): Decide {
  return ({ contactPoints }) => {
    const known = contactPoints[contactPointId];
    if (!known)
      throw new Refused(
        'not-found',
        'unknown-contact-point',
        'this person has no such contact point',
      );
    return [{ type: 'ContactPointRemoved', data: { contactPointId, kind: known.kind } }];
  };
}

export function rectify(identity: { readonly name?: string; readonly language?: string }): Decide {
  return () => [{ type: 'SubjectRectified', data: identity }];
}

/** Restricts from `at` on; nothing where this very restriction is on record. */
export function restrict(input: Restricting & { readonly note?: string }): Decide {
  const { at, ...data } = input;
  return ({ restrictions }) =>
    restrictions.includes(restrictionKey(input))
      ? []
      : [{ type: 'ProcessingRestricted', occurredAt: at, data }];
}

/** Lifts all restrictions; where there is none the caller is told. */
export function liftRestriction(): Decide {
  return ({ restricted }): readonly Fact<SubjectEvent>[] => {
    if (!restricted)
      throw new Refused('conflict', 'not-restricted', 'no restriction is in force for this person');
    return [{ type: 'RestrictionLifted', data: {} }];
  };
}

/** Every command on a person but their registration needs them to be known. */
export function mustBeRegistered<E>(facts: readonly E[] = []) {
  return ({ registered }: Subject): readonly E[] => {
    if (!registered)
      throw new Refused('not-found', 'unknown-subject', 'there is no such person', {});
    return facts;
  };
}
