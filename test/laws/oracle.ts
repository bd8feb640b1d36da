/**
 * May we? Answered a second time, by brute force: one person, one purpose, one moment, and the bare list of
 * what is on record. No sweep, no spans, no tables and no code of the consents slice: every function looks
 * through the whole list again and says one sentence of the rules. Slow on purpose.
 */
import type { Recorded } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import type { ConsentEvent, LegalBasis } from '#domains/consents/domain/consents.events.js';
import type { ErasureEvent } from '#domains/erasure/domain/erasure.events.js';
import type { PreferenceEvent } from '#domains/preferences/domain/preferences.events.js';
import type { Channel, PurposeDefinition } from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind, SubjectEvent } from '#domains/subjects/domain/subjects.events.js';

export type PersonEvent = SubjectEvent | ConsentEvent | PreferenceEvent | ErasureEvent;
export type History = readonly Recorded<PersonEvent>[];

export type Rules = Pick<
  PurposeDefinition,
  'key' | 'marketing' | 'channels' | 'minimumEvidence' | 'doubleOptIn'
> & { readonly retiredAt?: Instant };

export interface Topic {
  readonly key: string;
  readonly unset: 'off' | 'follows-purpose';
  readonly retiredAt?: Instant;
}

export interface Asked {
  readonly rules: Rules;
  readonly channel?: Channel;
  readonly topic?: Topic;
  readonly asOf: Instant;
}

export interface Verdict {
  readonly allowed: boolean;
  readonly code: string;
  readonly reasons: readonly string[];
  readonly basis?: LegalBasis;
  readonly since?: Instant;
  /** The id of the event that proves it. */
  readonly event?: string;
}

const ORDER =
  'unknown-subject erased restricted objected no-basis consent-requested consent-refused consent-withdrawn consent-expired consent-invalidated consent-unknown basis-ended evidence-missing confirmation-pending channel-not-covered topic-off channel-off no-contact-point allowed'.split(
    ' ',
  );

const FOREVER = '9999-12-31T23:59:59.999Z' as Instant;

type Of<T extends PersonEvent['type']> = Extract<Recorded<PersonEvent>, { type: T }>;

/** What `history`, cut to what the ledger knew, answers. */
export function mayWe(history: History, { rules, channel, topic, asOf }: Asked): Verdict {
  const view = new View(history, rules);
  const registered = view.upTo(asOf, 'SubjectRegistered')[0];
  if (!registered) return no('unknown-subject');
  if (view.upTo(asOf, 'KeyDestroyed').length > 0) return no('erased');

  const consent = view.consent(asOf);
  const standing = (['contract', 'legal-obligation', 'vital-interests', 'public-task', 'legitimate-interests'] as const)
    .map((basis) => ({ basis, ...view.basis(basis, asOf) }));
  const reasons = new Set<string>();

  // Which bases are there, whatever an objection or a restriction makes of them.
  const balanced = (basis: LegalBasis) => basis === 'public-task' || basis === 'legitimate-interests';
  const standingNow = standing.filter(({ status }) => status === 'valid');
  const notBlocked = standingNow.filter(({ basis }) => !(consent.refuses && balanced(basis)));
  const carriers: { basis: LegalBasis; since: Instant; event: string }[] = [
    ...(consent.valid ? [{ basis: 'consent' as const, since: consent.valid.at, event: consent.valid.event }] : []),
    ...notBlocked.map(({ basis, since, event }) => ({ basis, since: since as Instant, event: event as string })),
  ];
  const retired = rules.retiredAt !== undefined && asOf >= rules.retiredAt;
  if (retired) reasons.add('no-basis');
  if (carriers.length === 0) {
    const nothing = consent.code === undefined && standing.every(({ status }) => status === 'none');
    if (nothing) reasons.add('no-basis');
    if (consent.code !== undefined) reasons.add(consent.code);
    if (standing.some(({ status }) => status === 'ended')) reasons.add('basis-ended');
  }

  // Objections take away what they cover.
  let left = carriers;
  if (rules.marketing) {
    const raised = view.marketingObjection(asOf);
    if (raised !== undefined && !(consent.valid && consent.valid.granted > raised && consent.valid.at > raised)) {
      reasons.add('objected');
      left = [];
    }
  } else {
    const blocked = left.filter(({ basis }) => balanced(basis) && view.objectedTo(basis, asOf));
    left = left.filter((carrier) => !blocked.includes(carrier));
    const inForce = standingNow.some(({ basis }) => balanced(basis) && view.objectedTo(basis, asOf));
    if (left.length === 0 && inForce) {
      reasons.add('objected');
      if (consent.code !== undefined) reasons.add(consent.code);
      if (standing.some(({ status }) => status === 'ended')) reasons.add('basis-ended');
    }
  }

  // A restriction leaves only a consent given after it.
  const restricted = view.restrictedSince(asOf);
  if (restricted !== undefined) {
    const survives = left.filter(({ basis, since }) => basis === 'consent' && since > restricted);
    if (survives.length === 0) reasons.add('restricted');
    left = survives;
  }

  const carrier = carriers[0];
  if (channel !== undefined) {
    const onConsent = carrier === undefined || carrier.basis === 'consent';
    if (rules.marketing && onConsent && !rules.channels.includes(channel)) reasons.add('channel-not-covered');
    if (topic && !view.subscribed(topic, channel, asOf)) reasons.add('topic-off');
    const kind = kindFor(channel);
    if (kind) {
      const points = view.contactPoints(kind, asOf);
      if (points.length === 0) reasons.add('no-contact-point');
      const provedUpTo = consent.valid?.confirmed;
      if (rules.doubleOptIn && carrier?.basis === 'consent' && provedUpTo !== undefined && points.length > 0) {
        const proved = points.some((added) => added <= registered.occurredAt || added <= provedUpTo);
        if (!proved) reasons.add('confirmation-pending');
      }
    }
  }

  if (reasons.size > 0 || left.length === 0) {
    const ordered = ORDER.filter((code) => reasons.has(code));
    return { allowed: false, code: ordered[0] ?? 'no-basis', reasons: ordered };
  }
  const [first] = left;
  return { allowed: true, code: 'allowed', reasons: [], ...first };
}

interface Consent {
  /** Counts, and has neither ended nor expired. */
  readonly valid?: { readonly at: Instant; readonly granted: Instant; readonly confirmed?: Instant; readonly event: string };
  /** Why not, where it does not. */
  readonly code?: string;
  /** The last thing said is a no: it blocks legitimate interests and public task. */
  readonly refuses: boolean;
}

class View {
  constructor(
    private readonly history: History,
    private readonly rules: Rules,
  ) {}

  private without(event: { readonly id: string }): View {
    return new View(this.history.filter(({ id }) => id !== event.id), this.rules);
  }

  /** As-of means at or before. */
  upTo<T extends PersonEvent['type']>(asOf: Instant, ...types: T[]): Of<T>[] {
    return this.all(...types).filter(({ occurredAt }) => occurredAt <= asOf);
  }

  private all<T extends PersonEvent['type']>(...types: T[]): Of<T>[] {
    const list: readonly Recorded<PersonEvent>[] = this.history;
    return list.filter((event): event is Of<T> => (types as string[]).includes(event.type));
  }

  private ofPurpose<T extends 'ConsentRequested' | 'ConsentGiven' | 'ConsentConfirmed' | 'ConsentRefused' | 'ConsentWithdrawn' | 'ConsentRenewed' | 'ConsentInvalidated' | 'LegalBasisEstablished' | 'LegalBasisChanged' | 'LegalBasisEnded' | 'ObjectionUpheldAgainst'>(
    asOf: Instant,
    ...types: T[]
  ): Of<T>[] {
    return this.upTo(asOf, ...types).filter(
      (event) => (event.data as { purpose: string }).purpose === this.rules.key,
    );
  }

  /** Objections of either direction that cover this purpose. */
  private objections<T extends 'ObjectionRaised' | 'ObjectionWithdrawn'>(
    asOf: Instant,
    type: T,
    scope: 'marketing' | 'purpose',
  ): Of<T>[] {
    return this.upTo(asOf, type).filter(({ data }) =>
      data.scope === 'marketing'
        ? scope === 'marketing' && this.rules.marketing
        : scope === 'purpose' && data.purpose === this.rules.key,
    );
  }

  private raised(asOf: Instant): Of<'ObjectionRaised'>[] {
    return [
      ...this.objections(asOf, 'ObjectionRaised', 'marketing'),
      ...this.objections(asOf, 'ObjectionRaised', 'purpose'),
    ];
  }

  /** Since when one scope's objection stands: the latest that was not taken back after it; on a tie it stands. */
  private standsSince(asOf: Instant, scope: 'marketing' | 'purpose'): Instant | undefined {
    const raised = latest(this.objections(asOf, 'ObjectionRaised', scope).map((o) => o.occurredAt));
    const back = latest(this.objections(asOf, 'ObjectionWithdrawn', scope).map((o) => o.occurredAt));
    return raised !== undefined && !(back !== undefined && back > raised) ? raised : undefined;
  }

  /** Art. 21(2): to all marketing, or to this purpose of marketing. */
  marketingObjection(asOf: Instant): Instant | undefined {
    return latest(
      [this.standsSince(asOf, 'marketing'), this.standsSince(asOf, 'purpose')].filter((at) => at !== undefined),
    );
  }

  /** Art. 21(1): until overruled for that basis or taken back; on a tie the objection stands. */
  objectedTo(basis: LegalBasis, asOf: Instant): boolean {
    const since = this.standsSince(asOf, 'purpose');
    return (
      since !== undefined &&
      !this.ofPurpose(asOf, 'ObjectionUpheldAgainst').some((o) => o.data.basis === basis && o.occurredAt > since)
    );
  }

  /** Since when processing for this purpose is restricted: the latest restriction that was not lifted after it. */
  restrictedSince(asOf: Instant): Instant | undefined {
    const lifted = this.upTo(asOf, 'RestrictionLifted').map((l) => l.occurredAt);
    return latest(
      this.upTo(asOf, 'ProcessingRestricted')
        .filter(({ data }) => data.purposes === undefined || data.purposes.includes(this.rules.key))
        .filter(({ occurredAt }) => !lifted.some((at) => at > occurredAt))
        .map(({ occurredAt }) => occurredAt),
    );
  }

  /** A basis other than consent: what was last set or ended; on a tie the end, or the earlier end. */
  basis(
    basis: LegalBasis,
    asOf: Instant,
  ): { status: 'none' | 'valid' | 'ended'; since?: Instant; event?: string } {
    const sets = this.ofPurpose(asOf, 'LegalBasisEstablished', 'LegalBasisChanged').filter((s) => s.data.basis === basis);
    const ends = this.ofPurpose(asOf, 'LegalBasisEnded').filter((e) => e.data.basis === basis);
    const at = latest(sets.map((s) => s.occurredAt));
    const endedAt = latest(ends.map((e) => e.occurredAt));
    if (at === undefined) return { status: endedAt === undefined ? 'none' : 'ended' };
    if (endedAt !== undefined && endedAt >= at) return { status: 'ended' };
    const last = sets.filter((s) => s.occurredAt === at);
    const until = earliest(last.map((s) => s.data.validUntil ?? FOREVER)) as Instant;
    return until <= asOf
      ? { status: 'ended' }
      : { status: 'valid', since: at, event: last.find((s) => (s.data.validUntil ?? FOREVER) === until)?.id };
  }

  subscribed(topic: Topic, channel: Channel, asOf: Instant): boolean {
    if (topic.retiredAt !== undefined && asOf >= topic.retiredAt) return false;
    const said = this.upTo(asOf, 'TopicSwitchedOn', 'TopicSwitchedOff').filter(
      ({ data }) => data.topic === topic.key && data.channel === channel,
    );
    const last = latest(said.map((s) => s.occurredAt));
    if (last === undefined) return topic.unset === 'follows-purpose';
    return said.filter((s) => s.occurredAt === last).every((s) => s.type === 'TopicSwitchedOn');
  }

  /** When each contact point of that kind that is there was added. */
  contactPoints(kind: ContactKind, asOf: Instant): Instant[] {
    const ids = new Set(this.upTo(asOf, 'ContactPointAdded').filter((c) => c.data.kind === kind).map((c) => c.data.contactPointId));
    return [...ids].flatMap((id) => {
      const added = latest(this.upTo(asOf, 'ContactPointAdded').filter((c) => c.data.contactPointId === id).map((c) => c.occurredAt));
      const removed = latest(this.upTo(asOf, 'ContactPointRemoved').filter((c) => c.data.contactPointId === id).map((c) => c.occurredAt));
      return added !== undefined && !(removed !== undefined && removed >= added) ? [added] : [];
    });
  }

  private grants(asOf: Instant): Of<'ConsentGiven'>[] {
    return this.ofPurpose(asOf, 'ConsentGiven');
  }

  private invalid(grant: Of<'ConsentGiven'>): boolean {
    return this.all('ConsentInvalidated').some(({ data }) => data.grant === grant.id);
  }

  private evidenced(grant: Of<'ConsentGiven'>): boolean {
    return this.rules.minimumEvidence === 'none' || grant.data.noticeEvidence === 'complete';
  }

  /**
   * Which confirmation completes which grant: each, in order of time, the latest grant at or before it that
   * none has completed yet. It waits for a grant that is recorded later.
   */
  private confirmations(asOf: Instant): Map<string, { at: Instant; event: string; expiresAt?: Instant }> {
    const done = new Map<string, { at: Instant; event: string; expiresAt?: Instant }>();
    const grants = byTime(this.grants(asOf));
    for (const { id, data, occurredAt } of grants)
      if (data.confirmation)
        done.set(id, { at: later(data.confirmation.at, occurredAt), event: id, expiresAt: data.expiresAt });
    for (const confirmed of byTime(this.ofPurpose(asOf, 'ConsentConfirmed'))) {
      const grant = grants.findLast((g) => g.occurredAt <= confirmed.occurredAt && !done.has(g.id));
      if (grant)
        done.set(grant.id, { at: confirmed.occurredAt, event: confirmed.id, expiresAt: confirmed.data.expiresAt });
    }
    return done;
  }

  /** Said no, in any way that a grant does not outlive, at or after `from` and at or before `to`. */
  private cancelled(from: Instant, to: Instant): boolean {
    const noes = [
      ...this.ofPurpose(to, 'ConsentRefused', 'ConsentWithdrawn'),
      ...(this.rules.marketing ? this.raised(to) : []),
    ];
    return noes.some(({ occurredAt }) => occurredAt >= from);
  }

  consent(asOf: Instant): Consent {
    type Name = { readonly at: Instant; readonly code: string; readonly rank: number; readonly no?: true };
    const names: Name[] = [];
    const counting: { grant: Of<'ConsentGiven'>; at: Instant; confirmed?: Instant; event: string; expiresAt?: Instant }[] = [];
    const pending: Instant[] = [];
    let unproved = false;
    const confirmations = this.confirmations(asOf);
    for (const grant of this.grants(asOf)) {
      if (!this.evidenced(grant)) unproved = true;
      else if (this.invalid(grant)) names.push({ at: grant.occurredAt, code: 'consent-invalidated', rank: 2 });
      else if (!this.rules.doubleOptIn)
        counting.push({ grant, at: grant.occurredAt, event: grant.id, expiresAt: grant.data.expiresAt });
      else {
        const confirmation = confirmations.get(grant.id);
        if (confirmation && confirmation.at <= asOf && !this.cancelled(grant.occurredAt, confirmation.at))
          counting.push({ grant, ...confirmation, confirmed: confirmation.at });
        else if (!(confirmation && confirmation.at <= asOf)) pending.push(grant.occurredAt);
      }
    }
    for (const { type, occurredAt } of this.ofPurpose(asOf, 'ConsentRefused', 'ConsentWithdrawn'))
      names.push(
        type === 'ConsentRefused'
          ? { at: occurredAt, code: 'consent-refused', rank: 0, no: true }
          : { at: occurredAt, code: 'consent-withdrawn', rank: 1, no: true },
      );
    for (const objection of this.raised(asOf))
      if (this.endsConsent(objection))
        names.push({ at: objection.occurredAt, code: 'consent-withdrawn', rank: 1, no: true });
    for (const { data, occurredAt } of this.ofPurpose(asOf, 'LegalBasisEstablished', 'LegalBasisChanged'))
      if (data.basis === 'consent') names.push({ at: occurredAt, code: 'consent-unknown', rank: 3 });

    // The latest that counts decides; on a tie whatever is not a yes.
    const lastGrant = latest(counting.map(({ at }) => at));
    const overtaken = names.some(({ at }) => lastGrant !== undefined && at >= lastGrant);
    let valid: Consent['valid'];
    if (lastGrant !== undefined) {
      const tied = counting.filter(({ at }) => at === lastGrant);
      const carrying = tied.reduce((a, b) => ((a.expiresAt ?? FOREVER) <= (b.expiresAt ?? FOREVER) ? a : b));
      const ends = overtaken ? lastGrant : this.endOf(lastGrant, carrying.expiresAt, asOf);
      if (!overtaken && asOf < ends)
        valid = { at: lastGrant, granted: carrying.grant.occurredAt, confirmed: carrying.confirmed, event: carrying.event };
      else if (!overtaken) names.push({ at: ends, code: 'consent-expired', rank: 2 });
    }
    const lastNo = latest(names.filter(({ no }) => no).map(({ at }) => at));
    const refuses = lastNo !== undefined && !(lastGrant !== undefined && lastGrant > lastNo);
    if (valid) return { valid, refuses: false };

    for (const at of pending) names.push({ at, code: 'confirmation-pending', rank: 4 });
    for (const { occurredAt } of this.ofPurpose(asOf, 'ConsentRequested'))
      names.push({ at: occurredAt, code: 'consent-requested', rank: 5 });
    const at = latest(names.map((name) => name.at));
    const [name] = names.filter((one) => one.at === at).sort((a, b) => a.rank - b.rank);
    return { code: name?.code ?? (unproved ? 'evidence-missing' : undefined), refuses };
  }

  /** Marketing: every grant that lies before it or beside it. Elsewhere: a consent that held until then. */
  private endsConsent(objection: Of<'ObjectionRaised'>): boolean {
    const { occurredAt: at } = objection;
    if (this.rules.marketing) return this.grants(at).length > 0;
    return this.without(objection).consent(at).valid !== undefined;
  }

  /** When a consent that counts since `from` ends by itself: renewals extend it while it is valid, and only then. */
  private endOf(from: Instant, expiresAt: Instant | undefined, asOf: Instant): Instant {
    let end = expiresAt ?? FOREVER;
    const renewals = byTime(this.ofPurpose(asOf, 'ConsentRenewed')).filter((r) => r.occurredAt >= from);
    for (const at of new Set(renewals.map((r) => r.occurredAt))) {
      if (at >= end) continue;
      const offered = renewals.filter((r) => r.occurredAt === at).map((r) => r.data.expiresAt ?? FOREVER);
      end = later(end, earliest(offered) as Instant);
    }
    return end;
  }
}

function kindFor(channel: Channel): ContactKind | undefined {
  switch (channel) {
    case 'email':
      return 'email';
    case 'sms':
    case 'phone':
      return 'phone';
    case 'post':
      return 'post';
    case 'push':
      return undefined;
  }
}

function byTime<E extends { readonly occurredAt: Instant }>(events: readonly E[]): E[] {
  return [...events].sort((a, b) => (a.occurredAt < b.occurredAt ? -1 : a.occurredAt > b.occurredAt ? 1 : 0));
}

function latest(times: readonly Instant[]): Instant | undefined {
  return [...times].sort().at(-1);
}

function earliest(times: readonly Instant[]): Instant | undefined {
  return [...times].sort()[0];
}

function later(a: Instant, b: Instant): Instant {
  return a > b ? a : b;
}

function no(code: string): Verdict {
  return { allowed: false, code, reasons: [code] };
}
