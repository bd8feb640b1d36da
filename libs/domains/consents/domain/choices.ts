import type { Fact } from '#core/kernel/event.js';
import type { EventId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import type {
  Confirmation,
  ConsentEvent,
  LegalBasis,
  NoticeShown,
  ObjectionScope,
  Testimony,
} from './consents.events.js';
import {
  type ConsentFact,
  factsOf,
  noticeKey,
  type ObjectionFact,
  type PersonFacts,
} from './facts.js';

/**
 * Decisions on choices and legal bases, one curried function each. Every choice is a fact and is recorded,
 * also when it repeats the present state: a late one may fall between two equal ones. Only a fact equal in
 * kind, target, time, notice and confirmation to one on record decides nothing.
 */
type Decide = Decision<PersonFacts, ConsentEvent>;

interface Said {
  readonly purpose: string;
  readonly purposeRevision: number;
  readonly at: Instant;
  readonly testimony?: Testimony;
}

const nothing: readonly Fact<ConsentEvent>[] = [];

function unlessRecorded(
  { purpose }: Said,
  equal: (fact: ConsentFact) => boolean,
  fact: Fact<ConsentEvent>,
): Decide {
  return (state) => (factsOf(state, purpose).consent.some(equal) ? nothing : [fact]);
}

const dataOf = ({ purpose, purposeRevision, testimony }: Said) => ({
  purpose,
  purposeRevision,
  ...testimony,
});

export function requestConsent(said: Said): Decide {
  const { at } = said;
  return unlessRecorded(said, (fact) => fact.kind === 'requested' && fact.at === at, {
    type: 'ConsentRequested',
    occurredAt: at,
    data: dataOf(said),
  });
}

export interface Given extends Said {
  readonly notice?: NoticeShown;
  readonly noticeEvidence: 'complete' | 'incomplete' | 'none';
  readonly confirmation?: Confirmation;
  readonly expiresAt?: Instant;
}

export function giveConsent(given: Given): Decide {
  const { at, notice, noticeEvidence, confirmation, expiresAt } = given;
  const equal = (fact: ConsentFact) =>
    fact.kind === 'given' &&
    fact.at === at &&
    fact.notice === noticeKey(notice) &&
    fact.confirmation?.at === confirmation?.at &&
    fact.confirmation?.method === confirmation?.method;
  return unlessRecorded(given, equal, {
    type: 'ConsentGiven',
    occurredAt: at,
    data: { ...dataOf(given), notice, noticeEvidence, confirmation, expiresAt },
  });
}

export function confirmConsent(
  said: Said & { readonly confirmation: Confirmation; readonly expiresAt?: Instant },
): Decide {
  const { confirmation, expiresAt } = said;
  const equal = (fact: ConsentFact) =>
    fact.kind === 'confirmed' && fact.at === confirmation.at && fact.method === confirmation.method;
  return unlessRecorded(said, equal, {
    type: 'ConsentConfirmed',
    occurredAt: confirmation.at,
    data: { ...dataOf(said), confirmation, expiresAt },
  });
}

export function refuseConsent(said: Said & { readonly notice?: NoticeShown }): Decide {
  const { at, notice } = said;
  const equal = (fact: ConsentFact) =>
    fact.kind === 'refused' && fact.at === at && fact.notice === noticeKey(notice);
  return unlessRecorded(said, equal, {
    type: 'ConsentRefused',
    occurredAt: at,
    data: { ...dataOf(said), notice },
  });
}

export function withdrawConsent(said: Said): Decide {
  const { at } = said;
  return unlessRecorded(said, (fact) => fact.kind === 'withdrawn' && fact.at === at, {
    type: 'ConsentWithdrawn',
    occurredAt: at,
    data: dataOf(said),
  });
}

export function renewConsent(
  said: Said & { readonly notice?: NoticeShown; readonly expiresAt?: Instant },
): Decide {
  const { at, notice, expiresAt } = said;
  const equal = (fact: ConsentFact) =>
    fact.kind === 'renewed' && fact.at === at && fact.notice === noticeKey(notice);
  return unlessRecorded(said, equal, {
    type: 'ConsentRenewed',
    occurredAt: at,
    data: { ...dataOf(said), notice, expiresAt },
  });
}

/**
 * Finds the latest grant at or before `at` invalid, from its beginning, apart from those that were found so
 * at another time; without one there is nothing to find.
 */
export function invalidateConsent(said: Said): Decide {
  return (state) => {
    const { consent } = factsOf(state, said.purpose);
    const found = consent.filter((fact) => fact.kind === 'invalidated');
    const before = new Set(found.flatMap((f) => (f.at === said.at ? [] : [f.grant])));
    const grant = consent
      .filter(({ kind, at, by }) => kind === 'given' && at <= said.at && !before.has(by.id))
      .reduce<ConsentFact | undefined>(
        (last, fact) => (last && last.at > fact.at ? last : fact),
        undefined,
      );
    if (!grant)
      throw new Refused('conflict', 'no-consent-given', 'there is no grant that could be invalid');
    if (found.some((fact) => fact.at === said.at && fact.grant === grant.by.id)) return nothing;
    return [
      {
        type: 'ConsentInvalidated',
        occurredAt: said.at,
        data: { ...dataOf(said), grant: grant.by.id },
      },
    ];
  };
}

/** Announces that a consent reached the end of its time; no answer depends on it. */
export function announceExpiry(purpose: string, grant: EventId, expiredAt: Instant): Decide {
  return (state) =>
    factsOf(state, purpose).announced.includes(grant)
      ? nothing
      : [{ type: 'ConsentExpired', occurredAt: expiredAt, data: { purpose, grant } }];
}

export interface BasisInput extends Said {
  readonly basis: LegalBasis;
  readonly status: 'established' | 'asserted' | 'unknown';
  readonly reference?: string;
  readonly assessment?: string;
  readonly validUntil?: Instant;
  readonly allowedBases: readonly LegalBasis[];
}

/**
 * Sets a basis beside those that stand. Once consent was asked for, only legal obligation and vital
 * interests may be set beside it: the attempt is recorded, and is a refusal (EDPB 05/2020, 121-123).
 */
export function setBasis(input: BasisInput): Decide {
  const { purpose, basis, status, at, reference, assessment, validUntil } = input;
  return (state) => {
    const { bases, consent } = factsOf(state, purpose);
    const own = bases.filter((fact) => fact.basis === basis);
    const recorded =
      basis === 'consent'
        ? consent.some((fact) => fact.kind === 'unknown' && fact.at === at)
        : own.some(
            (fact) => fact.kind === 'set' && fact.at === at && fact.validUntil === validUntil,
          );
    if (recorded) return nothing;
    if (replacesConsent(state, input)) return refuseSwap(state, input);
    requireAllowed(input);
    return [
      {
        type: own.at(-1)?.kind === 'set' ? 'LegalBasisChanged' : 'LegalBasisEstablished',
        occurredAt: at,
        data: { ...dataOf(input), basis, status, reference, assessment, validUntil },
      },
    ];
  };
}

export function endBasis(
  input: Said & { readonly basis: Exclude<LegalBasis, 'consent'>; readonly reference?: string },
): Decide {
  const { purpose, basis, at, reference } = input;
  return (state) =>
    factsOf(state, purpose).bases.some(
      (f) => f.kind === 'ended' && f.basis === basis && f.at === at,
    )
      ? nothing
      : [{ type: 'LegalBasisEnded', occurredAt: at, data: { ...dataOf(input), basis, reference } }];
}

/** Overrules an objection, with grounds; an objection to direct marketing can not be (Art. 21(3)). */
export function upholdBasis(
  input: Omit<BasisInput, 'basis' | 'status' | 'validUntil'> & {
    readonly basis: 'public-task' | 'legitimate-interests';
    readonly marketing: boolean;
  },
): Decide {
  const { purpose, basis, at, reference, assessment, marketing } = input;
  return (state) => {
    const equal = (fact: ObjectionFact) =>
      fact.kind === 'upheld' && fact.basis === basis && fact.at === at;
    if (factsOf(state, purpose).objections.some(equal)) return nothing;
    if (replacesConsent(state, input)) return refuseSwap(state, input);
    requireAllowed(input);
    if (marketing)
      throw new Refused(
        'conflict',
        'objection-absolute',
        'an objection to direct marketing can not be overruled (Art. 21(3))',
      );
    return [
      {
        type: 'ObjectionUpheldAgainst',
        occurredAt: at,
        data: { ...dataOf(input), basis, reference, assessment },
      },
    ];
  };
}

export interface Objecting {
  readonly to: ObjectionScope;
  readonly at: Instant;
  readonly testimony?: Testimony;
}

export function raiseObjection(objecting: Objecting): Decide {
  return objection('ObjectionRaised', 'raised', objecting);
}

export function takeBackObjection(objecting: Objecting): Decide {
  return objection('ObjectionWithdrawn', 'withdrawn', objecting);
}

function objection(
  type: 'ObjectionRaised' | 'ObjectionWithdrawn',
  kind: ObjectionFact['kind'],
  { to, at, testimony }: Objecting,
): Decide {
  return (state) => {
    const list = to.scope === 'marketing' ? state.marketing : factsOf(state, to.purpose).objections;
    return list.some((fact) => fact.kind === kind && fact.at === at)
      ? nothing
      : [{ type, occurredAt: at, data: { ...to, ...testimony } }];
  };
}

type Setting = Said & {
  readonly basis: LegalBasis;
  readonly reference?: string;
  readonly allowedBases: readonly LegalBasis[];
};

function replacesConsent(state: PersonFacts, { purpose, basis }: Setting): boolean {
  return (
    factsOf(state, purpose).consent.length > 0 &&
    basis !== 'consent' &&
    basis !== 'legal-obligation' &&
    basis !== 'vital-interests'
  );
}

function refuseSwap(state: PersonFacts, input: Setting): readonly Fact<ConsentEvent>[] {
  return swapRefused(state, input)
    ? nothing
    : [
        {
          type: 'BasisSwapRefused',
          occurredAt: input.at,
          data: { ...dataOf(input), basis: input.basis, reference: input.reference },
        },
      ];
}

/** Whether this attempt to put another basis in the place of consent is on record as refused. */
export function swapRefused(
  state: PersonFacts,
  { purpose, basis, at }: Pick<Setting, 'purpose' | 'basis' | 'at'>,
): boolean {
  return factsOf(state, purpose).swaps.some((swap) => swap.basis === basis && swap.at === at);
}

function requireAllowed({ basis, allowedBases, purpose }: Setting): void {
  if (!allowedBases.includes(basis))
    throw new Refused('invalid', 'basis-not-allowed', `${purpose} may not rest on ${basis}`, {
      violations: [
        {
          pointer: '/basis',
          code: 'basis-not-allowed',
          detail: `the purpose may rest on ${allowedBases.join(', ')}`,
        },
      ],
    });
}
