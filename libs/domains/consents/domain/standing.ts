import type { Instant } from '#core/kernel/instant.js';
import type { LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import type { ConsentStatus } from './consents.events.js';
import { type Code, inOrder } from './consents.vocabulary.js';
import type { PersonFacts, Pointer } from './facts.js';
import { type Move, movesOf, type OtherBasis, type StandingRules } from './moves.js';

/**
 * How a person stands towards one purpose, over time: a pure function of what is on record and of the
 * purpose's rules. A question about a past day, a read model's rows and the person's page all come from
 * here, so they can not disagree.
 *
 * A sweep: the moves that the facts amount to are made one after the other.
 */

export interface BasisState {
  readonly basis: LegalBasis;
  readonly status: ConsentStatus | 'established' | 'asserted' | 'objected' | 'upheld' | 'ended';
  readonly since: Instant;
  readonly until?: Instant;
  readonly event: Pointer;
}

/** What holds for one purpose from a moment on, until the next one's. */
export interface Standing {
  readonly from: Instant;
  readonly code: Code;
  /** All that stands in the way, in order; empty where allowed. */
  readonly reasons: readonly Code[];
  /**
   * The basis that it rests on: the first valid one in the order of Art. 6(1). Where an objection or a
   * restriction stands in the way, the one that it would rest on without them.
   */
  readonly basis?: LegalBasis;
  readonly since?: Instant;
  readonly event?: Pointer;
  /** When the consent that it rests on was confirmed; only contact points known by then are proved. */
  readonly confirmedAt?: Instant;
  readonly bases: readonly BasisState[];
}

/** All spans in order of time; the first begins with the first fact that bears on the purpose. */
export function standingOf(person: PersonFacts, rules: StandingRules): Standing[] {
  return [...standings(person, rules)];
}

/** The same, one after the other: of a long life only what is looked for need be kept. */
export function* standings(person: PersonFacts, rules: StandingRules): Generator<Standing> {
  const sweep = new Sweep(rules);
  let last: Standing | undefined;
  const moves = movesOf(person, rules);
  for (let i = 0; i < moves.length;) {
    const at = (moves[i] as Move).at;
    for (; i < moves.length && (moves[i] as Move).at === at; i++) sweep.make(moves[i] as Move);
    const span = sweep.standingAt(at);
    if (last && sameStanding(last, span)) continue;
    last = span;
    yield span;
  }
}

/** What held at `asOf`: the last span that began at or before it. */
export function standingAt(spans: readonly Standing[], asOf: Instant): Standing | undefined {
  return spans.findLast((span) => span.from <= asOf);
}

export function sameStanding(a: Standing, b: Standing): boolean {
  return JSON.stringify({ ...a, from: '' }) === JSON.stringify({ ...b, from: '' });
}

const OTHER_BASES: readonly OtherBasis[] = [
  'contract',
  'legal-obligation',
  'vital-interests',
  'public-task',
  'legitimate-interests',
];

/** An objection can be raised to these two only (Art. 21(1)). */
const objectable = (basis: LegalBasis) =>
  basis === 'public-task' || basis === 'legitimate-interests';

/** A consent that is not valid. */
type Unheld = Exclude<ConsentStatus, 'given'>;

interface Held {
  readonly at: Instant;
  readonly by: Pointer;
}

class Sweep {
  private consent?: Held & {
    readonly status: Exclude<ConsentStatus, 'expired'>;
    readonly expiresAt?: Instant;
    readonly confirmedAt?: Instant;
    readonly unconfirmed?: boolean;
  };
  /** Whether a grant lies behind: one that counts, or waits for its confirmation, or lacks evidence. */
  private granted = false;
  /** Whether a no was said, and no grant that counts has come since. */
  private refused = false;
  private readonly bases = new Map<OtherBasis, Held & { validUntil?: Instant; ended?: Held }>();
  private marketingObjection?: Held;
  private purposeObjection?: Held & { readonly upheld: ReadonlyMap<LegalBasis, Held> };
  private restriction?: Held;

  constructor(private readonly rules: StandingRules) {}

  make(move: Move): void {
    const { at, by } = move;
    switch (move.kind) {
      case 'tick':
        return;
      case 'lift':
        this.restriction = undefined;
        return;
      case 'restrict':
        this.restriction = { at, by };
        return;
      case 'set':
        this.bases.set(move.basis, { at, by, validUntil: move.validUntil });
        return;
      case 'end': {
        const held = this.bases.get(move.basis);
        this.bases.set(move.basis, { ...(held ?? { at, by }), ended: { at, by } });
        return;
      }
      case 'unobject':
        if (move.marketing) this.marketingObjection = undefined;
        else this.purposeObjection = undefined;
        return;
      case 'object':
        if (move.marketing) this.marketingObjection = { at, by };
        else this.purposeObjection = { at, by, upheld: new Map() };
        if (this.endsConsent(at)) this.sayNo('withdrawn', { at, by });
        return;
      case 'uphold': {
        const objection = this.purposeObjection;
        if (objection && move.basis && !this.rules.marketing)
          this.purposeObjection = {
            ...objection,
            upheld: new Map(objection.upheld).set(move.basis, { at, by }),
          };
        return;
      }
      case 'request':
        this.consent ??= { status: 'requested', at, by };
        return;
      case 'lack':
        this.granted = true;
        if (!this.consent || ['requested', 'evidence-missing'].includes(this.consent.status))
          this.consent = { status: 'evidence-missing', at, by, unconfirmed: move.unconfirmed };
        return;
      case 'await':
        this.granted = true;
        if (!this.consent || this.waiting || this.consent.status === 'requested')
          this.consent = { status: 'confirmation-pending', at, by };
        return;
      case 'grant': {
        const { expiresAt, confirmedAt } = move.grant;
        this.granted = true;
        this.refused = false;
        this.consent = { status: 'given', at, by, expiresAt, confirmedAt };
        return;
      }
      case 'renew': {
        const { expiresAt } = move;
        const held = this.consent;
        if (held?.expiresAt && expiresAt && this.grantedAt(at) && expiresAt > held.expiresAt)
          this.consent = { ...held, expiresAt };
        return;
      }
      case 'unknown':
        this.consent = { status: 'unknown', at, by };
        return;
      case 'invalidate':
        this.consent = { status: 'invalidated', at, by };
        return;
      case 'withdraw':
        this.sayNo('withdrawn', { at, by });
        return;
      case 'refuse':
        this.sayNo('refused', { at, by });
        return;
    }
  }

  private sayNo(status: 'withdrawn' | 'refused', { at, by }: Held): void {
    this.consent = { status, at, by };
    this.refused = true;
  }

  /**
   * An objection to marketing ends every grant that lies before it, also one that expired since or does not
   * count yet; any other ends a consent that is valid. A no that was said before keeps its name.
   */
  private endsConsent(at: Instant): boolean {
    if (!this.rules.marketing) return this.grantedAt(at);
    const status = this.consent?.status;
    return this.granted && status !== 'refused' && status !== 'withdrawn';
  }

  /** A grant that does not count yet, for want of a confirmation or of evidence. */
  private get waiting(): boolean {
    return (
      this.consent?.status === 'confirmation-pending' || this.consent?.status === 'evidence-missing'
    );
  }

  private grantedAt(at: Instant): boolean {
    const { status, expiresAt } = this.consent ?? {};
    return status === 'given' && (expiresAt === undefined || at < expiresAt);
  }

  private consentAt(at: Instant): BasisState | undefined {
    if (!this.consent) return undefined;
    const { status, expiresAt, by } = this.consent;
    if (status === 'given' && expiresAt !== undefined && expiresAt <= at)
      return { basis: 'consent', status: 'expired', since: expiresAt, event: by };
    return { basis: 'consent', status, since: this.consent.at, until: expiresAt, event: by };
  }

  private basisAt(basis: OtherBasis, at: Instant): BasisState | undefined {
    const held = this.bases.get(basis);
    if (!held) return undefined;
    const { by, validUntil, ended } = held;
    if (ended) return { basis, status: 'ended', since: ended.at, event: ended.by };
    if (validUntil !== undefined && validUntil <= at)
      return { basis, status: 'ended', since: validUntil, event: by };
    const own = { basis, since: held.at, until: validUntil, event: by };
    if (!objectable(basis)) return { ...own, status: 'established' };
    const upheld = this.purposeObjection?.upheld.get(basis);
    if (upheld) return { ...own, status: 'upheld', since: upheld.at, event: upheld.by };
    const objection = this.objection;
    if (objection) return { ...own, status: 'objected', since: objection.at, event: objection.by };
    return { ...own, status: 'asserted' };
  }

  private get objection(): Held | undefined {
    return this.marketingObjection ?? this.purposeObjection;
  }

  standingAt(at: Instant): Standing {
    const consent = this.consentAt(at);
    const others = OTHER_BASES.flatMap((basis) => this.basisAt(basis, at) ?? []);
    const bases = consent ? [consent, ...others] : others;

    const given = consent?.status === 'given';
    const standing = bases.filter(({ basis, status }) =>
      basis === 'consent' ? given : status !== 'ended' && !(this.refused && objectable(basis)),
    );
    // A consent that is valid now was given after every objection: an objection ends those before it.
    const objected = given ? undefined : this.objection;
    // Overruled for one basis, an objection is in the way of the others that stand, and of nothing else.
    const inTheWay =
      this.rules.marketing ||
      this.purposeObjection?.upheld.size === 0 ||
      others.some(({ status }) => status === 'objected');
    const unobjected = standing.filter(
      ({ status }) => !(objected && this.rules.marketing) && status !== 'objected',
    );
    const passes =
      given && (this.restriction === undefined || this.consent!.at > this.restriction.at);
    const restricted = this.restriction && !passes ? this.restriction : undefined;
    const valid = restricted
      ? []
      : this.restriction
        ? unobjected.filter(({ basis }) => basis === 'consent')
        : unobjected;

    const [best] = valid;
    if (best) {
      const confirmedAt = best.basis === 'consent' ? this.consent?.confirmedAt : undefined;
      const { basis, since, event } = best;
      return { from: at, code: 'allowed', reasons: [], basis, since, event, confirmedAt, bases };
    }

    const reasons = new Map<Code, Held | undefined>();
    if (restricted) reasons.set('restricted', restricted);
    if (unobjected.length === 0 && objected && inTheWay) reasons.set('objected', objected);
    if (standing.length === 0) {
      if (consent)
        for (const code of this.codesOf(consent.status as Unheld))
          reasons.set(code, { at: consent.since, by: consent.event });
      const ended = others.find(({ status }) => status === 'ended');
      if (ended) reasons.set('basis-ended', { at: ended.since, by: ended.event });
      if (bases.length === 0) reasons.set('no-basis', undefined);
    }
    const codes = inOrder(reasons.keys());
    const code = codes[0] as Code;
    const named = reasons.get(code);
    const [carrier] = standing;
    const confirmedAt = carrier?.basis === 'consent' ? this.consent?.confirmedAt : undefined;
    const { at: since, by: event } = named ?? {};
    return {
      from: at,
      code,
      reasons: codes,
      basis: carrier?.basis,
      since,
      event,
      confirmedAt,
      bases,
    };
  }

  private codesOf(status: Unheld): Code[] {
    switch (status) {
      case 'evidence-missing':
        return this.consent?.unconfirmed
          ? ['evidence-missing', 'confirmation-pending']
          : ['evidence-missing'];
      case 'confirmation-pending':
        return ['confirmation-pending'];
      case 'requested':
      case 'refused':
      case 'withdrawn':
      case 'expired':
      case 'invalidated':
      case 'unknown':
        return [`consent-${status}`];
    }
  }
}
