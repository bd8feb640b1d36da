import type { EventId, ReceiptId, StreamName } from './ids.js';
import type { Instant } from './instant.js';
import type { StoredData } from './pii.js';
import type { Position } from './position.js';

/** A fact: what happened, in the past tense, and its data. */
export interface Event<Type extends string = string, Data extends object = object> {
  readonly type: Type;
  readonly data: Data;
}

/** Who caused an event, set from who is signed in and never from a body. */
export interface Actor {
  readonly kind: 'service' | 'officer' | 'system' | 'subject';
  readonly id: string;
}

/** Who made the declaration that an event records, and how surely. */
export interface DeclaredBy {
  readonly kind: 'subject' | 'guardian' | 'representative' | 'officer';
  readonly assurance?: 'none' | 'link' | 'login' | 'voice' | 'signed' | 'eid';
}

/** What the caller of the ledger knows about the occasion on which events are appended. */
export interface Occasion {
  /** When the person or the officer acted. */
  readonly occurredAt: Instant;
  /** When the organisation had it in hand: statutory clocks start here. */
  readonly receivedAt?: Instant;
  readonly actor: Actor;
  readonly declaredBy?: DeclaredBy;
  readonly source: string;
  readonly provenance?: { readonly importId: string; readonly line: number };
  /** The receipt: all events of one interaction share it, and a retry is known by it. */
  readonly interactionId: ReceiptId;
  readonly correlationId: string;
  readonly causationId?: string;
}

/** Everything the ledger keeps beside an event's type and data. */
export interface Envelope extends Occasion {
  readonly id: EventId;
  readonly version: number;
  readonly stream: StreamName;
  /** 0 for the first event of its stream. */
  readonly revision: number;
  readonly position: Position;
  /** When the ledger learned it; never decreases along positions. */
  readonly recordedAt: Instant;
  /** 128 random bits, so that a leaf hash alone tells nothing. */
  readonly salt: string;
}

/** An event as read from the log: personal fields are sealed or erased. */
export type Recorded<E extends Event = Event> =
  E extends Event<infer Type, infer Data>
    ? Envelope & { readonly type: Type; readonly data: StoredData<Data> }
    : never;

/** An event as read by somebody with the right to look: personal fields are clear or erased. */
export type Opened<E extends Event = Event> =
  E extends Event<infer Type, infer Data>
    ? Envelope & { readonly type: Type; readonly data: Data }
    : never;

/** What a decision returns: facts, not yet recorded. A fact may have a time of its own. */
export type Fact<E extends Event = Event> =
  E extends Event<infer Type, infer Data>
    ? { readonly type: Type; readonly data: Data; readonly occurredAt?: Instant }
    : never;
