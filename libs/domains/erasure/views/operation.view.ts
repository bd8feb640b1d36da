import type { OperationId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { KEPT_AS_PROOF } from '../domain/erasure.events.js';
import type { Erasure, Operation } from '../queries/operation.js';

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
  /** Since then the key epoch is closed, and no backup or copy can be read either; absent while it is open. */
  readonly unreadableInEveryCopySince?: Instant;
  /** The key epoch in which the keys were destroyed. */
  readonly epoch: number;
  readonly epochStatus: 'open' | 'closed';
  readonly completedAt: Instant;
  /** Pseudonymous proof that stays (Art. 17(3)(b) and (e)). */
  readonly kept: readonly string[];
}

/** Undefined where there is no such operation. */
export function operationView({
  subjectId,
  erasure,
  epochClosedAt,
}: Operation): OperationView | undefined {
  if (erasure.step === 'none') return undefined;
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
        unreadableInEveryCopySince: epochClosedAt,
        epoch: erasure.epoch,
        epochStatus: epochClosedAt === undefined ? ('open' as const) : ('closed' as const),
        completedAt: erasure.completedAt,
        kept: KEPT_AS_PROOF,
      };
      return { ...operation, status: 'succeeded', progress: { step }, result: { certificate } };
    }
  }
}
