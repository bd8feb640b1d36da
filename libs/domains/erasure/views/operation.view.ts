import type { OperationId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { KEPT_AS_PROOF } from '../domain/erasure.events.js';
import type { Erasure } from '../queries/operation.js';

/** Long work as its caller sees it. */
export interface OperationView {
  readonly operationId: OperationId;
  readonly kind: 'erasure';
  readonly status: 'running' | 'waiting' | 'succeeded' | 'failed';
  readonly subjectId: SubjectId;
  readonly progress?: {
    readonly step: Erasure['step'];
    readonly dutiesToRetain?: readonly string[];
  };
  readonly result?: { readonly certificate: ErasureCertificate };
  readonly problem?: { readonly code: string; readonly reason: string };
}

/** What the person, or an authority, is given about an erasure. */
export interface ErasureCertificate {
  readonly subjectId: SubjectId;
  readonly ground: string;
  readonly requestedAt: Instant;
  /** Since then the keys are destroyed: nothing of this person can be read here. */
  readonly unreadableSince: Instant;
  /** The key epoch whose end makes every backup and copy unreadable as well. */
  readonly unreadableInCopiesOnceEpochCloses: number;
  readonly completedAt: Instant;
  /** Pseudonymous proof that stays (Art. 17(3)(b) and (e)). */
  readonly kept: readonly string[];
}

export function operationView(
  subjectId: SubjectId,
  erasure: Exclude<Erasure, { step: 'none' }>,
): OperationView {
  const { operationId, step, ground, requestedAt } = erasure;
  const operation = { operationId, kind: 'erasure' as const, subjectId };
  switch (erasure.step) {
    case 'requested': {
      const { dutiesToRetain } = erasure;
      return { ...operation, status: 'waiting', progress: { step, dutiesToRetain } };
    }
    case 'approved':
    case 'destroyed':
      return { ...operation, status: 'running', progress: { step } };
    case 'refused':
      return {
        ...operation,
        status: 'failed',
        problem: { code: 'erasure-refused', reason: erasure.reason },
      };
    case 'completed': {
      const certificate = {
        subjectId,
        ground,
        requestedAt,
        unreadableSince: erasure.destroyedAt,
        unreadableInCopiesOnceEpochCloses: erasure.epoch,
        completedAt: erasure.completedAt,
        kept: KEPT_AS_PROOF,
      };
      return { ...operation, status: 'succeeded', progress: { step }, result: { certificate } };
    }
  }
}
