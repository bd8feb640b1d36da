/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The erasure slice: from the request to the certificate.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { OperationId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Pii } from '#core/kernel/pii.js';
import type { Position } from '#core/kernel/position.js';

/** Art. 17(1)(a) to (f). */
export const ERASURE_GROUNDS = [
  'no-longer-needed',
  'consent-withdrawn',
  'objected',
  'unlawful',
  'legal-obligation',
  'child',
] as const;
export type ErasureGround = (typeof ERASURE_GROUNDS)[number];

/** Art. 17(3)(a) to (e). */
export const REFUSAL_REASONS = [
  'freedom-of-expression',
  'legal-obligation',
  'public-health',
  'archiving',
  'legal-claims',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** What of a person stays as pseudonymous proof after their keys are gone (Art. 17(3)(b) and (e)). */
export const KEPT_AS_PROOF = ['purposes', 'times', 'notice-hashes', 'sources', 'channels'] as const;

/** The person, or somebody for them, asked to be forgotten (Art. 17(1)). */
export type ErasureRequested = Event<
  'ErasureRequested',
  {
    readonly operationId: OperationId;
    readonly ground: ErasureGround;
    readonly note?: Pii<string>;
    /** Purposes with a duty to keep data, seen when the request came in (Art. 17(3)(b)). */
    readonly dutiesToRetain: readonly string[];
  }
>;

/** The request was refused, with a reason of Art. 17(3). */
export type ErasureRefused = Event<
  'ErasureRefused',
  {
    readonly operationId: OperationId;
    readonly reason: RefusalReason;
    readonly note?: Pii<string>;
  }
>;

/** Somebody with the right to do so approved the erasure; nothing else is recorded of this person from here on. */
export type ErasureApproved = Event<'ErasureApproved', { readonly operationId: OperationId }>;

/** The person's keys were destroyed: their data can not be read any more. */
export type KeyDestroyed = Event<
  'KeyDestroyed',
  {
    readonly operationId: OperationId;
    readonly keyIds: readonly string[];
    readonly destroyedAt: Instant;
    /** When this key epoch closes, no copy of the keys can be used either. */
    readonly epoch: number;
  }
>;

/** Every projection and process has passed the destruction; the certificate stands. */
export type ErasureCompleted = Event<
  'ErasureCompleted',
  {
    readonly operationId: OperationId;
    /** The destruction's position, which every projection has passed. */
    readonly passed: Position;
    readonly unreadableSince: Instant;
    readonly epoch: number;
    /** What stays as pseudonymous proof (Art. 17(3)(b) and (e)). */
    readonly kept: readonly string[];
  }
>;

export type ErasureEvent =
  ErasureRequested | ErasureRefused | ErasureApproved | KeyDestroyed | ErasureCompleted;

export const erasureEvents = catalogue<ErasureEvent>({
  ErasureRequested: {
    version: 1,
    sealed: { note: 'evidence' },
    says: { en: 'Erasure requested: {ground}', de: 'Löschung verlangt: {ground}' },
  },
  ErasureRefused: {
    version: 1,
    sealed: { note: 'evidence' },
    says: { en: 'Erasure refused: {reason}', de: 'Löschung abgelehnt: {reason}' },
  },
  ErasureApproved: {
    version: 1,
    says: { en: 'Erasure approved', de: 'Löschung freigegeben' },
  },
  KeyDestroyed: {
    version: 1,
    says: { en: 'Keys destroyed', de: 'Schlüssel vernichtet' },
  },
  ErasureCompleted: {
    version: 1,
    says: { en: 'Erasure completed', de: 'Löschung abgeschlossen' },
  },
});
