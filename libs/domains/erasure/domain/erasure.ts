import type { Fact, Recorded } from '#core/kernel/event.js';
import type { OperationId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { type Decision, fold, model } from '#core/kernel/model.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import {
  type ErasureEvent,
  type ErasureGround,
  KEPT_AS_PROOF,
  type RefusalReason,
} from './erasure.events.js';

/** How far a person's erasure has come. */
export type Erasure =
  | { readonly step: 'none' }
  | (Step<'requested'> & { readonly dutiesToRetain: readonly string[] })
  | (Step<'refused'> & { readonly reason: RefusalReason })
  | Step<'approved'>
  | (Step<'destroyed'> & Destruction)
  | (Step<'completed'> & Destruction & { readonly completedAt: Instant });

interface Step<Name extends string> {
  readonly step: Name;
  readonly operationId: OperationId;
  readonly ground: ErasureGround;
  readonly requestedAt: Instant;
}

interface Destruction {
  readonly destroyedAt: Instant;
  readonly epoch: number;
  /** Where the destruction stands in the log. */
  readonly position: Position;
}

function stepped<Name extends string>(state: Erasure, step: Name): Step<Name> {
  if (state.step === 'none') throw new Error(`${step} without a request for erasure`);
  const { operationId, ground, requestedAt } = state;
  return { step, operationId, ground, requestedAt };
}

export const erasure = model<ErasureEvent>()<Erasure>({
  name: 'erasure',
  initial: { step: 'none' },
  evolve: {
    ErasureRequested: (_, { data, occurredAt }) => ({
      step: 'requested',
      operationId: data.operationId,
      ground: data.ground,
      requestedAt: occurredAt,
      dutiesToRetain: data.dutiesToRetain,
    }),
    ErasureRefused: (state, { data }) => ({ ...stepped(state, 'refused'), reason: data.reason }),
    ErasureApproved: (state) => stepped(state, 'approved'),
    KeyDestroyed: (state, { data, position }) => ({
      ...stepped(state, 'destroyed'),
      destroyedAt: data.destroyedAt,
      epoch: data.epoch,
      position,
    }),
    ErasureCompleted: (state, { occurredAt }) => {
      if (state.step !== 'destroyed' && state.step !== 'completed') return state;
      const { destroyedAt, epoch, position } = state;
      return {
        ...stepped(state, 'completed'),
        destroyedAt,
        epoch,
        position,
        completedAt: occurredAt,
      };
    },
  },
});

/** One operation by itself: what came of an earlier, refused request stays so whatever was asked later. */
export function erasureOf(operationId: OperationId, history: readonly Recorded[]): Erasure {
  return fold(
    erasure,
    history.filter(
      ({ data }) => (data as { operationId?: OperationId }).operationId === operationId,
    ),
  );
}

type Decide = Decision<Erasure, ErasureEvent>;

/** A request, and its approval in the same breath where the caller may approve. A running one stands. */
export function requestErasure(request: {
  readonly operationId: OperationId;
  readonly ground: ErasureGround;
  readonly note?: string;
  readonly dutiesToRetain: readonly string[];
  /** Whether the caller may approve, and with this call does. */
  readonly approved: boolean;
}): Decide {
  return (state) => {
    const { approved, ...data } = request;
    if (state.step === 'requested')
      return approved
        ? [{ type: 'ErasureApproved', data: { operationId: state.operationId } }]
        : [];
    if (state.step !== 'none' && state.step !== 'refused') return [];
    const { operationId } = request;
    return [
      { type: 'ErasureRequested', data },
      ...(approved ? [{ type: 'ErasureApproved' as const, data: { operationId } }] : []),
    ];
  };
}

export function approveErasure(): Decide {
  return (state) => {
    if (state.step === 'requested')
      return [{ type: 'ErasureApproved', data: { operationId: state.operationId } }];
    if (state.step === 'none' || state.step === 'refused') throw noRequest();
    return [];
  };
}

export function refuseErasure(reason: RefusalReason, note?: string): Decide {
  return (state) => {
    if (state.step === 'requested')
      return [{ type: 'ErasureRefused', data: { operationId: state.operationId, reason, note } }];
    if (state.step === 'refused' && state.reason === reason) return [];
    if (state.step === 'none' || state.step === 'refused') throw noRequest();
    throw new Refused(
      'conflict',
      'erasure-approved',
      'the erasure is approved and can not be refused',
    );
  };
}

export function recordDestruction(destroyed: {
  readonly keyIds: readonly string[];
  readonly destroyedAt: Instant;
  readonly epoch: number;
}): Decide {
  return (state) =>
    state.step === 'approved'
      ? [
          {
            type: 'KeyDestroyed',
            occurredAt: destroyed.destroyedAt,
            data: { operationId: state.operationId, ...destroyed },
          },
        ]
      : [];
}

export function completeErasure(): Decide {
  return (state) =>
    state.step === 'destroyed'
      ? [
          {
            type: 'ErasureCompleted',
            data: {
              operationId: state.operationId,
              passed: state.position,
              unreadableSince: state.destroyedAt,
              epoch: state.epoch,
              kept: KEPT_AS_PROOF,
            },
          },
        ]
      : [];
}

function noRequest(): Refused {
  return new Refused('conflict', 'no-erasure-requested', 'no erasure is waiting for this person');
}

/**
 * The ledger asks this before every append to a person's stream: once an erasure is approved nothing but
 * its own decisions may follow, whatever key somebody still has in a cache.
 */
export const nothingAfterErasure = {
  category: 'subject',
  check(history: readonly Recorded[], _facts: readonly Fact[], models: readonly string[]): void {
    if (models.every((name) => name === erasure.name)) return;
    const { step } = fold(erasure, history);
    if (step === 'none' || step === 'requested' || step === 'refused') return;
    throw new Refused(
      'gone',
      'subject-erased',
      'this person was erased; nothing more is recorded of them',
    );
  },
};
