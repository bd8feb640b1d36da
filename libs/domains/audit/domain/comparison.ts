import type { Recorded } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import { comparePositions, type Position } from '#core/kernel/position.js';
import type { ConsentEvent } from '#domains/consents/domain/consents.events.js';
import type { ErasureEvent } from '#domains/erasure/domain/erasure.events.js';
import type { PreferenceEvent } from '#domains/preferences/domain/preferences.events.js';
import type { PurposeEvent } from '#domains/purposes/domain/purposes.events.js';
import type { SubjectEvent } from '#domains/subjects/domain/subjects.events.js';
import { bearsOn } from './timeline.js';

/** A moment on both clocks: what had happened by `asOf`, as far as the log up to `position` tells. */
export interface Moment {
  readonly asOf: Instant;
  readonly position: Position;
}

/** How a person stood at a moment, as far as two moments can differ. */
export interface StandingThen {
  readonly registered: boolean;
  readonly erased: boolean;
  readonly objectsToMarketing: boolean;
  /** Purpose keys, or all; empty where nothing is restricted. */
  readonly restricted: 'all' | readonly string[];
  readonly contactKinds: readonly string[];
  readonly topics: Readonly<Record<string, Readonly<Record<string, 'on' | 'off' | undefined>>>>;
  readonly purposes: readonly PurposeThen[];
}

export interface PurposeThen {
  readonly purpose: string;
  readonly allowed: boolean;
  readonly code: string;
  readonly reasons: readonly string[];
  readonly basis?: string;
  readonly since?: Instant;
  readonly event?: { readonly id: string };
  readonly bases: readonly { readonly event: { readonly id: string } }[];
}

/** What is different, and how it was at each of the two moments. */
export type Difference =
  | {
      readonly what: 'registered' | 'erased' | 'marketing-objection';
      readonly from: boolean;
      readonly to: boolean;
    }
  | {
      readonly what: 'restriction';
      readonly from: StandingThen['restricted'];
      readonly to: StandingThen['restricted'];
    }
  | {
      readonly what: 'contact-kind';
      readonly kind: string;
      readonly from: boolean;
      readonly to: boolean;
    }
  | {
      readonly what: 'topic';
      readonly topic: string;
      readonly channel: string;
      readonly from: 'on' | 'off' | 'unset';
      readonly to: 'on' | 'off' | 'unset';
    }
  | {
      readonly what: 'purpose';
      readonly purpose: string;
      /** Absent where the purpose was not known yet. */
      readonly from?: PurposeThen;
      readonly to?: PurposeThen;
    };

/** Everything in which a person stood otherwise; nothing where both moments are alike. */
export function differencesOf(from: StandingThen, to: StandingThen): Difference[] {
  const found: Difference[] = [];
  const flag = (what: 'registered' | 'erased' | 'marketing-objection', a: boolean, b: boolean) => {
    if (a !== b) found.push({ what, from: a, to: b });
  };
  flag('registered', from.registered, to.registered);
  flag('erased', from.erased, to.erased);
  flag('marketing-objection', from.objectsToMarketing, to.objectsToMarketing);
  if (!same(from.restricted, to.restricted))
    found.push({ what: 'restriction', from: from.restricted, to: to.restricted });
  for (const kind of unionOf(from.contactKinds, to.contactKinds)) {
    const [a, b] = [from.contactKinds.includes(kind), to.contactKinds.includes(kind)];
    if (a !== b) found.push({ what: 'contact-kind', kind, from: a, to: b });
  }
  for (const topic of unionOf(Object.keys(from.topics), Object.keys(to.topics))) {
    const [before, after] = [from.topics[topic] ?? {}, to.topics[topic] ?? {}];
    for (const channel of unionOf(Object.keys(before), Object.keys(after))) {
      const a = before[channel] ?? 'unset';
      const b = after[channel] ?? 'unset';
      if (a !== b) found.push({ what: 'topic', topic, channel, from: a, to: b });
    }
  }
  const keys = [from, to].map(({ purposes }) => purposes.map(({ purpose }) => purpose));
  for (const purpose of unionOf(...(keys as [string[], string[]]))) {
    const [a, b] = [from, to].map(({ purposes }) => purposes.find((p) => p.purpose === purpose));
    if (!same(a, b)) found.push({ what: 'purpose', purpose, from: a, to: b });
  }
  return found;
}

/** By what a difference came about. */
export interface Cause<E> {
  /** In the order given. */
  readonly events: readonly E[];
  /**
   * Nothing happened or was learned between the two moments that bears on it: time alone made the
   * difference, such as the end of a consent's term. `events` are then those that carry the term.
   */
  readonly byTime: boolean;
}

/** Of a purpose: whether it is one of marketing. */
export type IsMarketing = (purpose: string) => boolean;

/**
 * The events that bear on a difference and count at one of the moments only: they happened, or were
 * learned, between the two. Where there are none, those that the bases rest on that are not the same.
 */
export function causeOf<E extends Recorded>(
  difference: Difference,
  events: readonly E[],
  [a, b]: readonly [Moment, Moment],
  isMarketing: IsMarketing,
): Cause<E> {
  const between = events.filter(
    (event) => counts(event, a) !== counts(event, b) && bears(difference, event, isMarketing),
  );
  if (between.length > 0) return { events: between, byTime: false };
  const terms = termsOf(difference);
  return { events: events.filter(({ id }) => terms.has(id)), byTime: true };
}

/** Whether an event had happened, and was known. The rules of a purpose hold for every day once they are known. */
function counts({ type, occurredAt, position }: Recorded, at: Moment): boolean {
  const happened = occurredAt <= at.asOf || (RULES.has(type) && type !== PURPOSE_RETIRED);
  return happened && comparePositions(position, at.position) <= 0;
}

type PersonEventType = (SubjectEvent | ConsentEvent | PreferenceEvent | ErasureEvent)['type'];
type AnyType = PersonEventType | PurposeEvent['type'];

const REGISTERED: AnyType = 'SubjectRegistered';
/** Of an erasure this alone changes what may be done. */
const KEY_DESTROYED: AnyType = 'KeyDestroyed';
const ERASURE: ReadonlySet<string> = new Set<ErasureEvent['type']>([
  'ErasureRequested',
  'ErasureRefused',
  'ErasureApproved',
  'KeyDestroyed',
  'ErasureCompleted',
]);
const RESTRICTIONS: ReadonlySet<string> = new Set<AnyType>([
  'ProcessingRestricted',
  'RestrictionLifted',
]);
const CONTACTS: ReadonlySet<string> = new Set<AnyType>([
  'ContactPointAdded',
  'ContactPointRemoved',
]);
const RULES: ReadonlySet<string> = new Set<AnyType>([
  'PurposeDefined',
  'PurposeRevised',
  'PurposeRetired',
]);
const PURPOSE_RETIRED: AnyType = 'PurposeRetired';

function bears(difference: Difference, event: Recorded, isMarketing: IsMarketing): boolean {
  const { type } = event;
  const data = event.data as Readonly<Record<string, unknown>>;
  switch (difference.what) {
    case 'registered':
      return type === REGISTERED;
    case 'erased':
      return ERASURE.has(type);
    case 'marketing-objection':
      return data['scope'] === 'marketing';
    case 'restriction':
      return RESTRICTIONS.has(type);
    case 'contact-kind':
      return CONTACTS.has(type) && data['kind'] === difference.kind;
    case 'topic':
      return data['topic'] === difference.topic && data['channel'] === difference.channel;
    case 'purpose': {
      const { purpose: key } = difference;
      if (RULES.has(type)) return data['key'] === key;
      if (ERASURE.has(type)) return type === KEY_DESTROYED;
      return (
        type === REGISTERED || bearsOn({ key, marketing: isMarketing(key), topics: [] }, event)
      );
    }
  }
}

/** The events of the bases that are not the same at both moments. */
function termsOf(difference: Difference): ReadonlySet<string> {
  if (difference.what !== 'purpose') return new Set();
  const [from, to] = [basesOf(difference.from), basesOf(difference.to)];
  const without = (some: PurposeThen['bases'], others: PurposeThen['bases']) =>
    some.filter((basis) => !others.some((other) => same(other, basis)));
  return new Set([...without(from, to), ...without(to, from)].map(({ event }) => event.id));
}

function basesOf(then: PurposeThen | undefined): PurposeThen['bases'] {
  return then?.bases ?? [];
}

function unionOf(a: readonly string[], b: readonly string[]): string[] {
  return [...new Set([...a, ...b])].sort();
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
