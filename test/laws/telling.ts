/**
 * A short way of telling what happened to a person, for specs that read like the rules: every fact names the
 * day of March 2026 that it counts from, and the list is the order in which the ledger learned of them.
 */
import { expect } from '@jest/globals';
import type { Fact } from '#core/kernel/event.js';
import type {
  ContactPointId,
  EventId,
  NoticeId,
  OperationId,
  SubjectId,
} from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { erased } from '#core/kernel/pii.js';
import { recorded } from '#core/kernel/spec.js';
import { type Answer, answer, type AnsweringTopic } from '#domains/consents/domain/answer.js';
import type { ObjectionScope } from '#domains/consents/domain/consents.events.js';
import { type PersonFacts, personFacts } from '#domains/consents/domain/facts.js';
import { personAt, personSpans } from '#domains/consents/domain/person.js';
import type { Code } from '#domains/consents/domain/consents.vocabulary.js';
import { standingAt, standingOf } from '#domains/consents/domain/standing.js';
import type { Channel, LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind, RestrictionGround } from '#domains/subjects/domain/subjects.events.js';
import { type History, mayWe, type PersonEvent, type Rules } from './oracle.js';

/** Noon of a day of March 2026; `day(3.5)` is midnight after the third. */
export function day(n: number): Instant {
  return new Date(Date.UTC(2026, 2, 1, 12) + (n - 1) * 86_400_000).toISOString() as Instant;
}

export type Told = Fact<PersonEvent> & { readonly occurredAt: Instant; readonly label?: string };

/** Rules of a purpose named `news`: no marketing, and nothing needed, unless said otherwise. */
export function rules(from: Partial<Rules> = {}): Rules {
  return {
    key: 'news',
    marketing: false,
    channels: ['email', 'sms', 'phone', 'post', 'push'],
    minimumEvidence: 'none',
    doubleOptIn: false,
    ...from,
  };
}
export const PLAIN = rules();
export const MARKETING = rules({ marketing: true, channels: ['email', 'post'] });
export const DOUBLE_OPT_IN = rules({ ...MARKETING, doubleOptIn: true });
export const EVIDENCED = rules({ minimumEvidence: 'notice' });

const ABOUT = { purpose: 'news', purposeRevision: 0 };
const NOTICE = 'ntc_00000000-0000-8000-8000-000000000001' as NoticeId;
const OPERATION = 'op_00000000-0000-8000-8000-000000000001' as OperationId;
const SUBJECT = 'sub_00000000-0000-7000-8000-000000000000' as SubjectId;

interface Grant {
  /** Day on which the confirmation that travels with it was given. */
  readonly confirmed?: number;
  readonly expires?: number;
  /** How far the notice it names proves what was shown; none by default. */
  readonly notice?: 'complete' | 'incomplete';
  /** For `invalidate`. */
  readonly label?: string;
  readonly purpose?: string;
}

export const registered = (n: number): Told => ({
  type: 'SubjectRegistered',
  occurredAt: day(n),
  data: { subjectId: SUBJECT },
});

export const request = (n: number): Told => ({
  type: 'ConsentRequested',
  occurredAt: day(n),
  data: ABOUT,
});

export const give = (
  n: number,
  { confirmed, expires, notice, label, purpose }: Grant = {},
): Told => ({
  type: 'ConsentGiven',
  occurredAt: day(n),
  label,
  data: {
    ...ABOUT,
    purpose: purpose ?? ABOUT.purpose,
    notice: notice && { id: NOTICE, version: 1, language: 'de' },
    noticeEvidence: notice ?? 'none',
    confirmation:
      confirmed === undefined ? undefined : { method: 'double-opt-in', at: day(confirmed) },
    expiresAt: expires === undefined ? undefined : day(expires),
  },
});

export const confirm = (n: number, { expires }: { readonly expires?: number } = {}): Told => ({
  type: 'ConsentConfirmed',
  occurredAt: day(n),
  data: {
    ...ABOUT,
    confirmation: { method: 'double-opt-in', at: day(n) },
    expiresAt: expires === undefined ? undefined : day(expires),
  },
});

export const refuse = (n: number): Told => ({
  type: 'ConsentRefused',
  occurredAt: day(n),
  data: ABOUT,
});

export const withdraw = (n: number): Told => ({
  type: 'ConsentWithdrawn',
  occurredAt: day(n),
  data: ABOUT,
});

export const renew = (n: number, expires?: number): Told => ({
  type: 'ConsentRenewed',
  occurredAt: day(n),
  data: { ...ABOUT, expiresAt: expires === undefined ? undefined : day(expires) },
});

/** `label` is the grant's that is found invalid. */
export const invalidate = (n: number, label: string): Told => ({
  type: 'ConsentInvalidated',
  occurredAt: day(n),
  data: { ...ABOUT, grant: label as EventId },
});

export const unknown = (n: number): Told => ({
  type: 'LegalBasisEstablished',
  occurredAt: day(n),
  data: { ...ABOUT, basis: 'consent', status: 'unknown' },
});

type OtherBasis = Exclude<LegalBasis, 'consent'>;

export const set = (basis: OtherBasis, n: number, until?: number): Told => ({
  type: 'LegalBasisEstablished',
  occurredAt: day(n),
  data: {
    ...ABOUT,
    basis,
    status:
      basis === 'public-task' || basis === 'legitimate-interests' ? 'asserted' : 'established',
    validUntil: until === undefined ? undefined : day(until),
  },
});

export const end = (basis: OtherBasis, n: number): Told => ({
  type: 'LegalBasisEnded',
  occurredAt: day(n),
  data: { ...ABOUT, basis },
});

export const uphold = (basis: 'public-task' | 'legitimate-interests', n: number): Told => ({
  type: 'ObjectionUpheldAgainst',
  occurredAt: day(n),
  data: { ...ABOUT, basis },
});

const scopeOf = (to: 'marketing' | 'this purpose'): ObjectionScope =>
  to === 'marketing' ? { scope: 'marketing' } : { scope: 'purpose', purpose: 'news' };

export const object = (n: number, to: 'marketing' | 'this purpose' = 'this purpose'): Told => ({
  type: 'ObjectionRaised',
  occurredAt: day(n),
  data: scopeOf(to),
});

export const takeBack = (n: number, to: 'marketing' | 'this purpose' = 'this purpose'): Told => ({
  type: 'ObjectionWithdrawn',
  occurredAt: day(n),
  data: scopeOf(to),
});

export const restrict = (
  n: number,
  purposes?: readonly string[],
  ground: RestrictionGround = 'unlawful',
): Told => ({ type: 'ProcessingRestricted', occurredAt: day(n), data: { ground, purposes } });

export const lift = (n: number): Told => ({
  type: 'RestrictionLifted',
  occurredAt: day(n),
  data: {},
});

const contactId = (which: number) =>
  `cpt_00000000-0000-7000-8000-00000000000${which}` as ContactPointId;

/** `which` tells contact points of one kind apart. */
export const add = (kind: ContactKind, n: number, which = 0): Told => ({
  type: 'ContactPointAdded',
  occurredAt: day(n),
  data: { contactPointId: contactId(which), kind, value: erased },
});

export const remove = (kind: ContactKind, n: number, which = 0): Told => ({
  type: 'ContactPointRemoved',
  occurredAt: day(n),
  data: { contactPointId: contactId(which), kind },
});

export const on = (topic: string, channel: Channel, n: number): Told => ({
  type: 'TopicSwitchedOn',
  occurredAt: day(n),
  data: { topic, channel },
});

export const off = (topic: string, channel: Channel, n: number): Told => ({
  type: 'TopicSwitchedOff',
  occurredAt: day(n),
  data: { topic, channel },
});

export const destroyKeys = (n: number): Told => ({
  type: 'KeyDestroyed',
  occurredAt: day(n),
  data: { operationId: OPERATION, keyIds: [], destroyedAt: day(n), epoch: 1 },
});

/** The events in the order told; a label in an invalidation becomes the id of the grant that bears it. */
export function history(facts: readonly Told[]): History {
  const events = facts.map(({ label: _, ...fact }, index) => recorded(fact, index));
  const ids = new Map(facts.map(({ label }, index) => [label as string, events[index]?.id]));
  return events.map((event) =>
    event.type === 'ConsentInvalidated'
      ? {
          ...event,
          data: { ...event.data, grant: ids.get((event.data as { grant: string }).grant) },
        }
      : event,
  ) as unknown as History;
}

export function factsOf(events: History): PersonFacts {
  return fold(personFacts, events);
}

export interface Question {
  readonly channel?: Channel;
  readonly topic?: AnsweringTopic;
}

/** May we, on that day, by what was told? */
export function ask(
  of: Rules,
  facts: readonly Told[],
  asOf: number,
  question: Question = {},
): Answer {
  return answerTo(of, history(facts), day(asOf), question);
}

export function answerTo(
  of: Rules,
  events: History,
  asOf: Instant,
  question: Question = {},
): Answer {
  const facts = factsOf(events);
  const standing = of.key in facts.purposes ? standingAt(standingOf(facts, of), asOf) : undefined;
  return answer(personAt(personSpans(facts), asOf), standing, { rules: of, asOf, ...question });
}

/** Day and what the answer is then: `allowed`, or all reasons in order. */
export type Row = readonly [day: number, ...codes: Code[]];

/**
 * Registered on the first of March, with this on record, the answers are these. As it was told; in the
 * opposite order, as it might have arrived; and as the rules read a second time have it.
 */
export function holds(
  of: Rules,
  told: readonly Told[],
  rows: readonly Row[],
  question: Question = {},
): void {
  const person = told.some(({ type }) => type === 'SubjectRegistered') ? [] : [registered(1)];
  const [asTold, backwards] = [told, inReverse(told)].map((facts) =>
    history([...person, ...facts]),
  );
  for (const events of [asTold, backwards] as History[])
    expect(
      rows.map(([asOf]) => {
        const { code, reasons } = answerTo(of, events, day(asOf), question);
        return [asOf, ...(code === 'allowed' ? [code] : reasons)];
      }),
    ).toEqual(rows);
  expect(
    rows.map(([asOf]) => {
      const { code, reasons } = mayWe(asTold as History, {
        rules: of,
        asOf: day(asOf),
        ...question,
      });
      return [asOf, ...(code === 'allowed' ? [code] : reasons)];
    }),
  ).toEqual(rows);
}

/** A contact point can be removed only after it was added, and nothing is told of somebody who was erased. */
function inReverse(told: readonly Told[]): Told[] {
  const fixed = (one: Told) =>
    /^(Subject|ContactPoint|KeyDestroyed)/.test(one.type) || one.type === 'ConsentInvalidated';
  const moved = told.filter((one) => !fixed(one)).reverse();
  const before = told.filter(
    (one) => fixed(one) && !/^(KeyDestroyed|ConsentInvalidated)/.test(one.type),
  );
  const after = told.filter((one) => /^(KeyDestroyed|ConsentInvalidated)/.test(one.type));
  return [...before, ...moved, ...after];
}
