import type { Actor, DeclaredBy, Occasion } from './event.js';
import type { ReceiptId } from './ids.js';
import { type Clock, type Instant, instantOf, millisecondsOf } from './instant.js';
import { invalid } from './refused.js';

/** What every command carries beside its own input: who asks, and the receipt that a retry is known by. */
export interface Requested {
  readonly actor: Actor;
  readonly receiptId: ReceiptId;
  readonly correlationId: string;
  /** The caller's expected revision of the stream (If-Match). */
  readonly ifRevision?: number;
  /** Yields to online work. */
  readonly bulk?: boolean;
  /** Keeps this append in its place among others that are prepared side by side. */
  readonly turn?: Turn;
  readonly provenance?: Occasion['provenance'];
}

/** A place in a row of appends: taken when those before it are on their way to the store. */
export interface Turn {
  /** The same for all turns of a row: what is remembered for a row is gone with it. */
  readonly row: object;
  come(): Promise<void>;
  /** Lets the next one go; more than once is fine. */
  done(): void;
}

/** A row of turns, in the order in which they were taken. */
export class Turns {
  private last: Promise<void> = Promise.resolve();

  next(): Turn {
    const before = this.last;
    let done = (): void => undefined;
    const left = new Promise<void>((resolve) => (done = resolve));
    this.last = before.then(() => left);
    return { row: this, come: () => before, done };
  }
}

/** Where something comes from that has no source of its own: an officer's hand, or a program. */
export function sourceOf(actor: Actor): 'officer' | 'api' {
  return actor.kind === 'officer' ? 'officer' : 'api';
}

/** How far a clock that is not ours may be ahead. */
const TOLERATED_MILLISECONDS = 60_000;

/** Refuses a moment more than 60 s ahead of the clock, naming the field. */
export function notInTheFuture(at: Instant | undefined, pointer: string, clock: Clock): void {
  if (at === undefined || at <= instantOf(millisecondsOf(clock.now()) + TOLERATED_MILLISECONDS))
    return;
  throw invalid({ pointer, code: 'in-the-future', detail: 'must not lie in the future' });
}

/** The occasion of a command. What it does not say is when it happened: now. */
export function occasionOf(
  { actor, receiptId, correlationId, provenance }: Requested,
  said: {
    readonly occurredAt?: Instant;
    readonly receivedAt?: Instant;
    readonly declaredBy?: DeclaredBy;
    readonly source: string;
  },
  clock: Clock,
): Occasion {
  notInTheFuture(said.occurredAt, '/occurredAt', clock);
  notInTheFuture(said.receivedAt, '/receivedAt', clock);
  return {
    occurredAt: said.occurredAt ?? clock.now(),
    receivedAt: said.receivedAt,
    declaredBy: said.declaredBy,
    source: said.source,
    actor,
    interactionId: receiptId,
    correlationId,
    provenance,
  };
}
