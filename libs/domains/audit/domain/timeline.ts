import type { EventCatalogue } from '#core/kernel/catalogue.js';
import type { Actor, DeclaredBy, Envelope, Opened, Recorded } from '#core/kernel/event.js';
import type { EventId, ReceiptId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { isErased } from '#core/kernel/pii.js';
import { comparePositions, type Position } from '#core/kernel/position.js';
import type { ErasureEvent } from '#domains/erasure/domain/erasure.events.js';
import type { SubjectEvent } from '#domains/subjects/domain/subjects.events.js';
import { type Names, sentenceOf } from './wording.js';
import type { Language } from './words.js';

/** Which of a person's events are asked for. */
export interface Selection {
  /** What had happened then: events whose own time lies at or before it. */
  readonly asOf?: Instant;
  /** What the ledger knew then: events at or before it. */
  readonly knownAt: Position;
  readonly purpose?: PurposeScope;
}

/** A purpose, and what bears on it without naming it. */
export interface PurposeScope {
  readonly key: string;
  readonly marketing: boolean;
  readonly topics: readonly string[];
}

/** The events asked for, in the order given. */
export function selected<E extends Recorded>(
  events: readonly E[],
  { asOf, knownAt, purpose }: Selection,
): E[] {
  return events.filter(
    (event) =>
      comparePositions(event.position, knownAt) <= 0 &&
      (asOf === undefined || event.occurredAt <= asOf) &&
      (purpose === undefined || bearsOn(purpose, event)),
  );
}

/** What ends or hinders every purpose alike, and names none. */
const BEARS_ON_ALL: ReadonlySet<string> = new Set<(SubjectEvent | ErasureEvent)['type']>([
  'RestrictionLifted',
  'ErasureRequested',
  'ErasureRefused',
  'ErasureApproved',
  'KeyDestroyed',
  'ErasureCompleted',
]);
const RESTRICTION: SubjectEvent['type'] = 'ProcessingRestricted';

/**
 * Whether an event can be a reason for how a person stands towards a purpose: it names the purpose, one of
 * its topics or, where it is one of marketing, all marketing; or it concerns whatever is done with the
 * person's data.
 */
export function bearsOn(
  { key, marketing, topics }: PurposeScope,
  { type, data }: Pick<Recorded, 'type' | 'data'>,
): boolean {
  const { purpose, purposes, topic, scope } = data as Readonly<Record<string, unknown>>;
  if (purpose !== undefined) return purpose === key;
  if (topic !== undefined) return topics.some((one) => one === topic);
  if (scope === 'marketing') return marketing;
  if (Array.isArray(purposes)) return purposes.includes(key);
  return type === RESTRICTION || BEARS_ON_ALL.has(type);
}

/** One event, in words and in data. */
export interface TimelineItem {
  readonly id: EventId;
  readonly type: string;
  readonly revision: number;
  readonly position: Position;
  readonly occurredAt: Instant;
  readonly receivedAt?: Instant;
  readonly recordedAt: Instant;
  readonly text: string;
  /** Personal fields are absent unless revealed; `{"erased":true}` stands for one that nobody can read any more. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly actor: Actor;
  readonly declaredBy?: DeclaredBy;
  readonly source: string;
  readonly provenance?: Envelope['provenance'];
  readonly receiptId: ReceiptId;
}

export interface Telling {
  readonly catalogue: EventCatalogue;
  readonly names: Names;
  readonly language: Language;
  /** Whether personal fields are shown; who looks was then recorded first. */
  readonly reveal: boolean;
}

/** What a reader is told of an event. */
export function itemOf(
  event: Opened,
  { catalogue, names, language, reveal }: Telling,
): TimelineItem {
  const specification = catalogue.get(event.type);
  if (!specification) throw new Error(`event type ${event.type} is in no catalogue`);
  const data = event.data as Readonly<Record<string, unknown>>;
  return {
    id: event.id,
    type: event.type,
    revision: event.revision,
    position: event.position,
    occurredAt: event.occurredAt,
    receivedAt: event.receivedAt,
    recordedAt: event.recordedAt,
    text: sentenceOf(specification, data, names, language),
    data: reveal ? data : withoutPersonal(data, Object.keys(specification.sealed ?? {})),
    actor: event.actor,
    declaredBy: event.declaredBy,
    source: event.source,
    provenance: event.provenance,
    receiptId: event.interactionId,
  };
}

function withoutPersonal(
  data: Readonly<Record<string, unknown>>,
  personal: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(data).filter(([field, value]) => !personal.includes(field) || isErased(value)),
  );
}
