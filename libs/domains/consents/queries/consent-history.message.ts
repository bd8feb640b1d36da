import { Query } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { ConsentStatus } from '../domain/consents.events.js';
import type { BasisState } from '../domain/standing.js';

export type ConsentState = BasisState & { readonly status: ConsentStatus };

/** Every state that a person's consents were in, by purpose: what counted, since when, and by which event. */
export class AskConsentHistory extends Query<ConsentHistory> {
  constructor(
    /** The person's stream as it is known, in order; read once, whatever its length. */
    readonly stream: Iterable<Recorded> | AsyncIterable<Recorded>,
    readonly asOf: Instant,
    /** By which rules; absent: those of the head. */
    readonly knownAt?: Position,
  ) {
    super();
  }
}

/** Purposes whose consent was never spoken of are absent; states are in order of time. */
export type ConsentHistory = readonly {
  readonly purpose: string;
  readonly states: readonly ConsentState[];
}[];
