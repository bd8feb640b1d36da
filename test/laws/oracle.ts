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

/** After the last moment that can be asked about. */
const FOREVER = '~' as Instant;

type Of<T extends PersonEvent['type']> = Extract<Recorded<PersonEvent>, { type: T }>;

/** What `history`, cut to what the ledger knew, answers. */
export function mayWe(history: History, { rules, channel, topic, asOf }: Asked): Verdict {
  const view = new View(history, rules);
  const [registered] = view.upTo(asOf, 'SubjectRegistered');
  if (!registered) return no('unknown-subject');
  if (view.upTo(asOf, 'KeyDestroyed').length > 0) return no('erased');

  const consent = view.consent(asOf);
  const others = BESIDE_CONSENT.map((basis) => ({ basis, ...view.basis(basis, asOf) }));
  const reasons = new Set<string>();

  // The bases that stand, whatever an objection or a restriction makes of them. A consent that was refused
  // or withdrawn blocks legitimate interests and public task.
  const carriers: Carrier[] = [
    ...(consent.valid ? [{ basis: 'consent' as const, ...consent.valid }] : []),
    ...others.flatMap(({ basis, valid }) =>
      valid && !(consent.refuses && balanced(basis)) ? [{ basis, ...valid }] : [],
    ),
  ];
  if (carriers.length === 0) {
    const ended = others.some(({ ended }) => ended);
    for (const code of consent.codes) reasons.add(code);
    if (ended) reasons.add('basis-ended');
    if (consent.codes.length === 0 && !ended) reasons.add('no-basis');
  }
  if (rules.retiredAt !== undefined && asOf >= rules.retiredAt) reasons.add('no-basis');

  // Objections take away what they cover.
  let left = carriers;
  if (rules.marketing) {
    if (view.marketingObjection(asOf) !== undefined && !consent.valid) {
      reasons.add('objected');
      left = [];
    }
  } else if (view.objection(asOf) !== undefined) {
    left = carriers.filter(({ basis }) => !balanced(basis) || view.overruled(basis, asOf));
    const blocks = others.some(
      ({ basis, valid }) => valid && balanced(basis) && !view.overruled(basis, asOf),
    );
    const unanswered = !BESIDE_CONSENT.some((basis) => view.overruled(basis, asOf));
    if (left.length === 0 && (blocks || unanswered)) reasons.add('objected');
    left = left.map((one) => view.upheldSince(one, asOf));
  }

  // A restriction leaves only a consent given after it.
  const restricted = view.restrictedSince(asOf);
  if (restricted !== undefined) {
    left = left.filter(({ basis, since }) => basis === 'consent' && since > restricted);
    if (left.length === 0) reasons.add('restricted');
  }

  const [carrier] = carriers;
  if (channel !== undefined) {
    const onConsent = carrier === undefined || carrier.basis === 'consent';
    if (rules.marketing && onConsent && !rules.channels.includes(channel))
      reasons.add('channel-not-covered');
    if (topic && !view.subscribed(topic, channel, asOf)) reasons.add('topic-off');
    const kind = kindFor(channel);
    if (kind) {
      const points = view.contactPoints(kind, asOf);
      if (points.length === 0) reasons.add('no-contact-point');
      else if (rules.doubleOptIn && consent.valid) {
        const { since: confirmed } = consent.valid;
        const proved = (added: Instant) => added <= registered.occurredAt || added <= confirmed;
        if (!points.some(proved)) reasons.add('confirmation-pending');
      }
    }
  }

  const [first] = left;
  if (reasons.size === 0 && first) return { allowed: true, code: 'allowed', reasons: [], ...first };
  const ordered = ORDER.filter((code) => reasons.has(code));
  return { allowed: false, code: ordered[0] ?? 'no reason was found', reasons: ordered };
}

const BESIDE_CONSENT = [
  'contract',
  'legal-obligation',
  'vital-interests',
  'public-task',
  'legitimate-interests',
] as const;

/** The two that can be objected to, and that a consent that was refused blocks. */
function balanced(basis: LegalBasis): boolean {
  return basis === 'public-task' || basis === 'legitimate-interests';
}

/** A basis that stands, since when, and the id of the event that proves it. */
interface Carrier {
  readonly basis: LegalBasis;
  readonly since: Instant;
  readonly event: string;
}

interface Consent {
  /** Given, counts, and has neither ended nor expired. */
  readonly valid?: Omit<Carrier, 'basis'>;
  /** Why not, where it does not. */
  readonly codes: readonly string[];
  /** A no was said, and no grant that counts came after it. */
  readonly refuses: boolean;
}

/** A grant that counts, or would if nothing came after it. */
interface Grant {
  readonly at: Instant;
  readonly event: string;
  readonly expiresAt: Instant;
}

/** A word on a consent that is not a yes, and which of several said at one moment is heard. */
interface Word {
  readonly at: Instant;
  readonly code: string;
}

/** From the most restrictive on. */
const LOUDEST = [
  'consent-refused',
  'consent-withdrawn',
  'consent-invalidated',
  'consent-unknown',
  'consent-expired',
];

type PurposeEventType = Exclude<
  ConsentEvent['type'],
  'ObjectionRaised' | 'ObjectionWithdrawn' | 'ConsentExpired' | 'BasisSwapRefused'
>;

class View {
  constructor(
    private readonly history: History,
    private readonly rules: Rules,
  ) {}

  /** As-of means at or before. */
  upTo<T extends PersonEvent['type']>(asOf: Instant, ...types: readonly T[]): Of<T>[] {
    return this.all(...types).filter(({ occurredAt }) => occurredAt <= asOf);
  }

  private all<T extends PersonEvent['type']>(...types: readonly T[]): Of<T>[] {
    const wanted: readonly string[] = types;
    return (this.history as readonly Recorded<PersonEvent>[]).filter((event): event is Of<T> =>
      wanted.includes(event.type),
    );
  }

  private order(id: string): number {
    return this.history.findIndex((event) => event.id === id);
  }

  private ofPurpose<T extends PurposeEventType>(asOf: Instant, ...types: readonly T[]): Of<T>[] {
    return this.upTo(asOf, ...types).filter(
      ({ data }: { data: object }) => (data as { purpose: string }).purpose === this.rules.key,
    );
  }

  /** Objections raised or taken back in one scope. To all marketing matters to a purpose of marketing only. */
  private objections(
    asOf: Instant,
    type: 'ObjectionRaised' | 'ObjectionWithdrawn',
    scope: 'marketing' | 'purpose',
  ) {
    return this.upTo(asOf, type).filter(({ data }) =>
      data.scope === 'marketing'
        ? scope === 'marketing' && this.rules.marketing
        : scope === 'purpose' && data.purpose === this.rules.key,
    );
  }

  private raised(asOf: Instant): Instant[] {
    return (['marketing', 'purpose'] as const).flatMap((scope) =>
      this.objections(asOf, 'ObjectionRaised', scope).map(({ occurredAt }) => occurredAt),
    );
  }

  /** Since when one scope's objection stands: the latest that was not taken back after it; on a tie it stands. */
  private standsSince(asOf: Instant, scope: 'marketing' | 'purpose'): Instant | undefined {
    const times = (type: 'ObjectionRaised' | 'ObjectionWithdrawn') =>
      latest(this.objections(asOf, type, scope).map(({ occurredAt }) => occurredAt));
    const [raised, back] = [times('ObjectionRaised'), times('ObjectionWithdrawn')];
    return raised !== undefined && !(back !== undefined && back > raised) ? raised : undefined;
  }

  /** Art. 21(2): to all marketing, or to this purpose of marketing. */
  marketingObjection(asOf: Instant): Instant | undefined {
    return this.standsSince(asOf, 'marketing') ?? this.standsSince(asOf, 'purpose');
  }

  /** Art. 21(1): to this purpose. */
  objection(asOf: Instant): Instant | undefined {
    return this.standsSince(asOf, 'purpose');
  }

  private upheld(basis: LegalBasis, asOf: Instant) {
    const since = this.objection(asOf);
    return this.ofPurpose(asOf, 'ObjectionUpheldAgainst').filter(
      ({ data, occurredAt }) => data.basis === basis && since !== undefined && occurredAt > since,
    );
  }

  /** Whether the objection that stands was overruled for this basis after it was raised. */
  overruled(basis: LegalBasis, asOf: Instant): boolean {
    return this.upheld(basis, asOf).length > 0;
  }

  /** A basis that was upheld holds since then. */
  upheldSince(carrier: Carrier, asOf: Instant): Carrier {
    const last = byTime(this.upheld(carrier.basis, asOf)).at(-1);
    return last ? { basis: carrier.basis, since: last.occurredAt, event: last.id } : carrier;
  }

  /** Since when processing for this purpose is restricted: the latest restriction that was not lifted after it. */
  restrictedSince(asOf: Instant): Instant | undefined {
    const lifted = this.upTo(asOf, 'RestrictionLifted').map(({ occurredAt }) => occurredAt);
    return latest(
      this.upTo(asOf, 'ProcessingRestricted')
        .filter(({ data }) => data.purposes === undefined || data.purposes.includes(this.rules.key))
        .map(({ occurredAt }) => occurredAt)
        .filter((restricted) => !lifted.some((at) => at > restricted)),
    );
  }

  /** A basis other than consent: what was last set or ended; on a tie the end, or what ends sooner. */
  basis(basis: LegalBasis, asOf: Instant): { valid?: Omit<Carrier, 'basis'>; ended: boolean } {
    const sets = byTime(this.ofPurpose(asOf, 'LegalBasisEstablished', 'LegalBasisChanged')).filter(
      ({ data }) => data.basis === basis,
    );
    const endedAt = latest(
      this.ofPurpose(asOf, 'LegalBasisEnded')
        .filter(({ data }) => data.basis === basis)
        .map(({ occurredAt }) => occurredAt),
    );
    const since = sets.at(-1)?.occurredAt;
    if (since === undefined) return { ended: endedAt !== undefined };
    if (endedAt !== undefined && endedAt >= since) return { ended: true };
    const together = sets.filter(({ occurredAt }) => occurredAt === since);
    const until = earliest(together.map(({ data }) => data.validUntil ?? FOREVER)) as Instant;
    if (until <= asOf) return { ended: true };
    const proof = together.findLast(({ data }) => (data.validUntil ?? FOREVER) === until);
    return { valid: { since, event: proof?.id ?? '' }, ended: false };
  }

  subscribed(topic: Topic, channel: Channel, asOf: Instant): boolean {
    if (topic.retiredAt !== undefined && asOf >= topic.retiredAt) return false;
    const said = this.upTo(asOf, 'TopicSwitchedOn', 'TopicSwitchedOff').filter(
      ({ data }) => data.topic === topic.key && data.channel === channel,
    );
    const last = latest(said.map(({ occurredAt }) => occurredAt));
    if (last === undefined) return topic.unset === 'follows-purpose';
    return said.every(({ type, occurredAt }) => occurredAt < last || type === 'TopicSwitchedOn');
  }

  /** When each contact point of that kind that is there was added. */
  contactPoints(kind: ContactKind, asOf: Instant): Instant[] {
    const removed = this.upTo(asOf, 'ContactPointRemoved');
    return this.upTo(asOf, 'ContactPointAdded')
      .filter(({ data }) => data.kind === kind)
      .filter(
        (added) =>
          !removed.some(
            ({ data, occurredAt }) =>
              data.contactPointId === added.data.contactPointId && occurredAt >= added.occurredAt,
          ),
      )
      .map(({ occurredAt }) => occurredAt);
  }

  private invalid(grant: Of<'ConsentGiven'>): boolean {
    return this.all('ConsentInvalidated').some(({ data }) => data.grant === grant.id);
  }

  private evidenced({ data }: Of<'ConsentGiven'>): boolean {
    return this.rules.minimumEvidence === 'none' || data.noticeEvidence === 'complete';
  }

  /**
   * The confirmation that completes each grant: its own, or one that followed. Those that followed go, in
   * order of time, to the latest grant at or before them that is still unconfirmed. At one moment the grant
   * that is worth less comes first to a confirmation, and the confirmation that ends sooner first to a grant.
   */
  private confirmations(asOf: Instant): Map<string, Grant> {
    const completed = new Map<string, Grant>();
    const grants = this.ofPurpose(asOf, 'ConsentGiven');
    for (const { id, data, occurredAt } of grants)
      if (data.confirmation)
        completed.set(id, {
          at: later(data.confirmation.at, occurredAt),
          event: id,
          expiresAt: data.expiresAt ?? FOREVER,
        });
    const worth = (grant: Of<'ConsentGiven'>) =>
      this.invalid(grant) ? '0' : this.evidenced(grant) ? (grant.data.expiresAt ?? FOREVER) : '1';
    const unconfirmed = byTime(
      grants.filter(({ id }) => !completed.has(id)),
      (a, b) => compare(worth(b), worth(a)),
    );
    const confirmations = byTime(this.ofPurpose(asOf, 'ConsentConfirmed'), (a, b) =>
      compare(a.data.expiresAt ?? FOREVER, b.data.expiresAt ?? FOREVER),
    );
    for (const { id, data, occurredAt: at } of confirmations) {
      const grant = unconfirmed.findLast((one) => one.occurredAt <= at && !completed.has(one.id));
      if (grant)
        completed.set(grant.id, {
          at,
          event: id,
          expiresAt: data.expiresAt ?? grant.data.expiresAt ?? FOREVER,
        });
    }
    return completed;
  }

  /** Whether a refusal, a withdrawal or a marketing objection lies at or after `from` and at or before `to`. */
  private cancelled(from: Instant, to: Instant): boolean {
    const noes = this.ofPurpose(to, 'ConsentRefused', 'ConsentWithdrawn').map(
      ({ occurredAt }) => occurredAt,
    );
    return [...noes, ...(this.rules.marketing ? this.raised(to) : [])].some((at) => at >= from);
  }

  consent(asOf: Instant, heedless: { objectionsAt?: Instant; objections?: true } = {}): Consent {
    const words: Word[] = [];
    const noes: Instant[] = [];
    const counting: Grant[] = [];
    const lacking: { at: Instant; unconfirmed: boolean }[] = [];
    let pending = false;
    const confirmations = this.confirmations(asOf);
    for (const grant of this.ofPurpose(asOf, 'ConsentGiven')) {
      const { id, occurredAt, data } = grant;
      const completion = confirmations.get(id);
      const confirmed =
        completion && completion.at <= asOf && !this.cancelled(occurredAt, completion.at)
          ? completion
          : undefined;
      const complete = this.rules.doubleOptIn
        ? confirmed
        : { at: occurredAt, event: id, expiresAt: data.expiresAt ?? FOREVER };
      if (this.invalid(grant)) words.push({ at: occurredAt, code: 'consent-invalidated' });
      else if (!this.evidenced(grant))
        lacking.push({ at: complete?.at ?? occurredAt, unconfirmed: complete === undefined });
      else if (complete) counting.push(complete);
      else pending = true;
    }
    for (const { type, occurredAt: at } of this.ofPurpose(
      asOf,
      'ConsentRefused',
      'ConsentWithdrawn',
    )) {
      words.push({ at, code: type === 'ConsentRefused' ? 'consent-refused' : 'consent-withdrawn' });
      noes.push(at);
    }
    for (const { data, occurredAt } of this.ofPurpose(
      asOf,
      'LegalBasisEstablished',
      'LegalBasisChanged',
    ))
      if (data.basis === 'consent') words.push({ at: occurredAt, code: 'consent-unknown' });
    if (!heedless.objections)
      for (const at of this.raised(asOf))
        if (at !== heedless.objectionsAt && this.endsConsent(at)) {
          words.push({ at, code: this.wordBefore(at) });
          noes.push(at);
        }

    // The latest grant that counts, unless a word came after it or with it. Of several at one moment the
    // one that ends first.
    const lastGrant = latest(counting.map(({ at }) => at));
    const refuses = noes.some((at) => lastGrant === undefined || at >= lastGrant);
    const [grant] = counting
      .filter(({ at }) => at === lastGrant)
      .sort(
        (a, b) => compare(a.expiresAt, b.expiresAt) || this.order(b.event) - this.order(a.event),
      );
    if (grant && !words.some(({ at }) => at >= grant.at)) {
      const end = this.endOf(grant, asOf);
      if (asOf < end)
        return { valid: { since: grant.at, event: grant.event }, codes: [], refuses: false };
      words.push({ at: later(end, grant.at), code: 'consent-expired' });
    }

    // What counts names the code, and the latest of it; then a grant that does not count yet, for want of a
    // confirmation or of evidence; then that consent was asked for.
    const last = latest(words.map(({ at }) => at));
    const heard = words.filter(({ at }) => at === last).map(({ code }) => code);
    const code = LOUDEST.find((one) => heard.includes(one));
    if (code !== undefined) return { codes: [code], refuses };
    if (pending) return { codes: ['confirmation-pending'], refuses };
    if (lacking.length > 0) {
      const lastLacking = latest(lacking.map(({ at }) => at));
      const unconfirmed = lacking.some((one) => one.at === lastLacking && one.unconfirmed);
      return {
        codes: ['evidence-missing', ...(unconfirmed ? ['confirmation-pending'] : [])],
        refuses,
      };
    }
    return {
      codes: this.ofPurpose(asOf, 'ConsentRequested').length > 0 ? ['consent-requested'] : [],
      refuses,
    };
  }

  /** To marketing: every grant that lies before it or beside it. Elsewhere: a consent that held until then. */
  private endsConsent(at: Instant): boolean {
    return this.rules.marketing
      ? this.ofPurpose(at, 'ConsentGiven').some((grant) => !this.invalid(grant))
      : this.consent(at, { objectionsAt: at }).valid !== undefined;
  }

  /** What an objection is heard as: a withdrawal; a no that was said before keeps its name. */
  private wordBefore(at: Instant): string {
    const [word] = this.consent(at, { objections: true }).codes;
    return word === 'consent-refused' ? word : 'consent-withdrawn';
  }

  /** When a consent ends by itself: a renewal extends it while it is valid, and never shortens it. */
  private endOf(grant: Grant, asOf: Instant): Instant {
    const renewals = byTime(this.ofPurpose(asOf, 'ConsentRenewed')).filter(
      ({ occurredAt }) => occurredAt >= grant.at,
    );
    let end = grant.expiresAt;
    for (const at of new Set(renewals.map(({ occurredAt }) => occurredAt))) {
      const offered = renewals
        .filter(({ occurredAt }) => occurredAt === at)
        .flatMap(({ data }) => data.expiresAt ?? []);
      const renewed = earliest(offered);
      if (at < end && renewed !== undefined) end = later(end, renewed);
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** In order of time, then as `tie` says, then as recorded. */
function byTime<E extends { readonly occurredAt: Instant }>(
  events: readonly E[],
  tie: (a: E, b: E) => number = () => 0,
): E[] {
  return [...events].sort((a, b) => compare(a.occurredAt, b.occurredAt) || tie(a, b));
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
