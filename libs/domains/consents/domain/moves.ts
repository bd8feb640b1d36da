import { BEGINNING, END_OF_TIME, type Instant } from '#core/kernel/instant.js';
import { comparePositions } from '#core/kernel/position.js';
import type { LegalBasis, PurposeDefinition } from '#domains/purposes/domain/purposes.events.js';
import {
  type ConsentFact,
  factsOf,
  type ObjectionFact,
  type PersonFacts,
  type Pointer,
} from './facts.js';

/**
 * What the facts on record do to how a person stands: every fact becomes a move at the moment it counts from. Moves are
 * made in order of time, at the same moment from the least to the most restrictive, so that the more restrictive has the
 * last word.
 */

/** The rules of a purpose that standing depends on. */
export type StandingRules = Pick<
  PurposeDefinition,
  'key' | 'marketing' | 'minimumEvidence' | 'doubleOptIn'
>;

export type OtherBasis = Exclude<LegalBasis, 'consent'>;

export interface Grant {
  readonly at: Instant;
  readonly by: Pointer;
  readonly confirmedAt?: Instant;
  readonly expiresAt?: Instant;
}

export type Move = { readonly at: Instant; readonly by: Pointer } & (
  | { readonly kind: 'lift' | 'request' | 'tick' }
  | { readonly kind: 'unobject' | 'object'; readonly marketing: boolean }
  | { readonly kind: 'uphold'; readonly basis: LegalBasis | undefined }
  | { readonly kind: 'set'; readonly basis: OtherBasis; readonly validUntil?: Instant }
  | { readonly kind: 'end'; readonly basis: OtherBasis }
  | { readonly kind: 'lack'; readonly unconfirmed: boolean }
  | { readonly kind: 'await' | 'refuse' | 'withdraw' | 'invalidate' | 'unknown' }
  | { readonly kind: 'grant'; readonly grant: Grant }
  | { readonly kind: 'renew'; readonly expiresAt?: Instant }
  | { readonly kind: 'restrict' }
);

/** Every move that what is on record about a person makes for a purpose, in the order in which they are made. */
export function movesOf(person: PersonFacts, rules: StandingRules): Move[] {
  return unorderedMoves(person, rules).sort(
    (a, b) =>
      (a.at < b.at ? -1 : a.at > b.at ? 1 : 0) ||
      RANK[a.kind] - RANK[b.kind] ||
      byEnd(b, a) ||
      comparePositions(a.by.position, b.by.position),
  );
}

/** At one moment, from the least restrictive to the most. */
const RANK: Readonly<Record<Move['kind'], number>> = {
  tick: 0,
  lift: 1,
  unobject: 2,
  set: 3,
  request: 4,
  lack: 5,
  await: 6,
  grant: 7,
  renew: 8,
  unknown: 9,
  invalidate: 10,
  uphold: 11,
  object: 12,
  withdraw: 13,
  refuse: 14,
  end: 15,
  restrict: 16,
};

/** Of equals at one moment the one that ends sooner, or lacks more, is made last and stays. */
function byEnd(a: Move, b: Move): number {
  const [one, other] = [endOf(a), endOf(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function endOf(move: Move): Instant {
  switch (move.kind) {
    case 'grant':
      return move.grant.expiresAt ?? END_OF_TIME;
    case 'set':
      return move.validUntil ?? END_OF_TIME;
    case 'lack':
      return move.unconfirmed ? BEGINNING : END_OF_TIME;
    case 'tick':
    case 'lift':
    case 'unobject':
    case 'request':
    case 'await':
    case 'renew':
    case 'unknown':
    case 'invalidate':
    case 'uphold':
    case 'object':
    case 'withdraw':
    case 'refuse':
    case 'end':
    case 'restrict':
      return END_OF_TIME;
  }
}

function unorderedMoves(person: PersonFacts, rules: StandingRules): Move[] {
  const { consent, bases, objections } = factsOf(person, rules.key);
  const moves: Move[] = [];
  // Something to look at again, also where a fact changes nothing: whoever is on record has spans.
  const tick = (at: Instant | undefined, by: Pointer) => {
    if (at !== undefined && at < END_OF_TIME) moves.push({ kind: 'tick', at, by });
  };

  const object = (list: readonly ObjectionFact[], marketing: boolean) => {
    for (const { kind, at, by, basis } of list)
      if (kind === 'upheld') moves.push({ kind: 'uphold', at, by, basis });
      else moves.push({ kind: kind === 'raised' ? 'object' : 'unobject', at, by, marketing });
  };
  object(objections, false);
  if (rules.marketing) object(person.marketing, true);

  for (const { kind, at, by, purposes } of person.restrictions)
    if (kind === 'lifted') moves.push({ kind: 'lift', at, by });
    else if (!purposes || purposes.includes(rules.key)) moves.push({ kind: 'restrict', at, by });

  for (const { kind, at, by, basis, validUntil } of bases) {
    if (kind === 'ended') moves.push({ kind: 'end', at, by, basis });
    else {
      moves.push({ kind: 'set', at, by, basis, validUntil });
      tick(validUntil, by);
    }
  }

  // What cancels a grant that still waits for its confirmation: of objections those to marketing.
  const restrictive = [
    ...consent.filter(({ kind }) => kind === 'refused' || kind === 'withdrawn'),
    ...(rules.marketing
      ? [...objections, ...person.marketing].filter(({ kind }) => kind === 'raised')
      : []),
  ]
    .map(({ at }) => at)
    .sort();
  const invalidated = new Set(
    consent.flatMap((fact) => (fact.kind === 'invalidated' ? [fact.grant as string] : [])),
  );
  // Of several renewals at one moment the one that ends soonest counts.
  const renewals = new Map<Instant, Instant>();
  for (const fact of consent)
    if (fact.kind === 'renewed' && fact.expiresAt !== undefined)
      renewals.set(fact.at, earlier(renewals.get(fact.at) ?? END_OF_TIME, fact.expiresAt));
  const lacks = ({ noticeEvidence }: GivenFact) =>
    rules.minimumEvidence === 'notice' && noticeEvidence !== 'complete';
  const confirmations = confirmationsOf(consent, (grant) =>
    invalidated.has(grant.by.id) || lacks(grant) ? BEGINNING : (grant.expiresAt ?? END_OF_TIME),
  );

  for (const fact of consent) {
    const { at, by } = fact;
    switch (fact.kind) {
      case 'requested':
        moves.push({ kind: 'request', at, by });
        break;
      case 'refused':
        moves.push({ kind: 'refuse', at, by });
        break;
      case 'withdrawn':
        moves.push({ kind: 'withdraw', at, by });
        break;
      case 'unknown':
        moves.push({ kind: 'unknown', at, by });
        break;
      case 'renewed': {
        const { expiresAt } = fact;
        tick(at, by);
        if (expiresAt === undefined || expiresAt !== renewals.get(at)) break;
        moves.push({ kind: 'renew', at, by, expiresAt });
        tick(expiresAt, by);
        break;
      }
      case 'given': {
        const confirmed = confirmations.get(fact);
        const unconfirmed =
          rules.doubleOptIn &&
          (!confirmed || (firstFrom(restrictive, at) ?? END_OF_TIME) <= confirmed.at);
        const from = rules.doubleOptIn && confirmed && !unconfirmed ? confirmed.at : at;
        if (invalidated.has(by.id)) {
          moves.push({ kind: 'invalidate', at, by });
          break;
        }
        if (lacks(fact)) {
          moves.push({ kind: 'lack', at, by, unconfirmed: unconfirmed || from !== at });
          if (from !== at) moves.push({ kind: 'lack', at: from, by, unconfirmed: false });
          break;
        }
        if (unconfirmed) {
          moves.push({ kind: 'await', at, by });
          break;
        }
        if (from !== at) moves.push({ kind: 'await', at, by });
        const grant: Grant = {
          at: from,
          by: rules.doubleOptIn ? (confirmed?.by ?? by) : by,
          confirmedAt: confirmed?.at,
          expiresAt: (rules.doubleOptIn ? confirmed?.expiresAt : undefined) ?? fact.expiresAt,
        };
        moves.push({ kind: 'grant', at: from, by: grant.by, grant });
        tick(grant.expiresAt, grant.by);
        break;
      }
      case 'confirmed':
      case 'invalidated':
        tick(at, by);
        break;
    }
  }
  return moves;
}

/** The first of these times, which are in order, that is not before `from`. */
function firstFrom(times: readonly Instant[], from: Instant): Instant | undefined {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as Instant) < from) low = middle + 1;
    else high = middle;
  }
  return times[low];
}

function earlier(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}

type GivenFact = Extract<ConsentFact, { kind: 'given' }>;

interface Confirmed {
  readonly at: Instant;
  readonly by: Pointer;
  readonly expiresAt?: Instant;
}

/**
 * Which grant is confirmed when, and by which event. A confirmation of its own goes to the latest grant at
 * or before it that is still unconfirmed; where there is none it waits, and changes nothing. Of grants at
 * one moment it goes to the one that is worth least, by `worth`; of confirmations the one that ends sooner
 * goes first.
 */
function confirmationsOf(
  consent: readonly ConsentFact[],
  worth: (grant: GivenFact) => Instant,
): ReadonlyMap<ConsentFact, Confirmed> {
  const confirmed = new Map<ConsentFact, Confirmed>();
  const waiting: GivenFact[] = [];
  for (const fact of consent)
    if (fact.kind === 'given') {
      if (fact.confirmation)
        confirmed.set(fact, { at: fact.confirmation.at, by: fact.by, expiresAt: fact.expiresAt });
      else waiting.push(fact);
    }
  const later = consent
    .filter((fact) => fact.kind === 'confirmed')
    .sort(byTime(({ expiresAt }) => expiresAt ?? END_OF_TIME, 1));
  waiting.sort(byTime(worth, -1));
  for (const { at, by, expiresAt } of later) {
    const index = waiting.findLastIndex((grant) => grant.at <= at);
    const [grant] = index < 0 ? [] : waiting.splice(index, 1);
    if (grant) confirmed.set(grant, { at, by, expiresAt });
  }
  return confirmed;
}

/** In order of time, at one moment by `value` in the given direction, then as recorded. */
function byTime<Fact extends ConsentFact>(value: (fact: Fact) => Instant, direction: 1 | -1) {
  return (a: Fact, b: Fact): number => {
    if (a.at !== b.at) return a.at < b.at ? -1 : 1;
    const [one, other] = [value(a), value(b)];
    if (one !== other) return one < other ? -direction : direction;
    return comparePositions(a.by.position, b.by.position);
  };
}
