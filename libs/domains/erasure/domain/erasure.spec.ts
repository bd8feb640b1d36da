import { describe, expect, test } from '@jest/globals';
import type { Fact } from '#core/kernel/event.js';
import type { OperationId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import type { Position } from '#core/kernel/position.js';
import { given, recorded } from '#core/kernel/spec.js';
import { type ErasureEvent, KEPT_AS_PROOF } from './erasure.events.js';
import {
  approveErasure,
  completeErasure,
  erasure,
  erasureOf,
  nothingAfterErasure,
  recordDestruction,
  refuseErasure,
  requestErasure,
} from './erasure.js';

const op = (n: number) => `op_00000000-0000-8000-8000-00000000000${n}` as OperationId;
const destroyedAt = '2026-03-05T12:00:00.000Z' as Instant;

const asked = { ground: 'consent-withdrawn', dutiesToRetain: ['contract'] } as const;
const requested = (n = 1): Fact<ErasureEvent> => ({
  type: 'ErasureRequested',
  data: { operationId: op(n), ...asked },
});
const refused: Fact<ErasureEvent> = {
  type: 'ErasureRefused',
  data: { operationId: op(1), reason: 'legal-claims' },
};
const approved = (n = 1): Fact<ErasureEvent> => ({
  type: 'ErasureApproved',
  data: { operationId: op(n) },
});
const destruction = { keyIds: ['k1', 'k2'], destroyedAt, epoch: 7 };
const destroyed: Fact<ErasureEvent> = {
  type: 'KeyDestroyed',
  occurredAt: destroyedAt,
  data: { operationId: op(1), ...destruction },
};
const completed: Fact<ErasureEvent> = {
  type: 'ErasureCompleted',
  data: {
    operationId: op(1),
    // The third event of these histories, and so the third position.
    passed: '3' as Position,
    unreadableSince: destroyedAt,
    epoch: 7,
    kept: KEPT_AS_PROOF,
  },
};

/** Every state an erasure can be in, by the facts that lead there. */
const HISTORIES = {
  none: [],
  requested: [requested()],
  refused: [requested(), refused],
  approved: [requested(), approved()],
  destroyed: [requested(), approved(), destroyed],
  completed: [requested(), approved(), destroyed, completed],
} as const satisfies Record<string, readonly Fact<ErasureEvent>[]>;
type Step = keyof typeof HISTORIES;

/** Nothing, or facts, or a refusal's code, for every state. */
type Expected = Readonly<Record<Step, readonly Fact<ErasureEvent>[] | string>>;

function holds(decide: ReturnType<typeof approveErasure>, expected: Expected): void {
  for (const step of Object.keys(HISTORIES) as Step[]) {
    const then = given(erasure, ...HISTORIES[step]).when(decide);
    const want = expected[step];
    if (typeof want === 'string') then.thenRefused(want);
    else then.then(...want);
  }
}

describe('in every state', () => {
  test('a request: one that runs stands, whatever the second one says; after a refusal a new one begins', () => {
    holds(requestErasure({ operationId: op(2), ...asked, approved: false }), {
      none: [requested(2)],
      requested: [],
      refused: [requested(2)],
      approved: [],
      destroyed: [],
      completed: [],
    });
  });

  test('a request by somebody who may approve is approved in the same breath', () => {
    holds(requestErasure({ operationId: op(2), ...asked, approved: true }), {
      none: [requested(2), approved(2)],
      requested: [approved(1)],
      refused: [requested(2), approved(2)],
      approved: [],
      destroyed: [],
      completed: [],
    });
  });

  test('an approval needs a request that waits', () => {
    holds(approveErasure(), {
      none: 'no-erasure-requested',
      requested: [approved()],
      refused: 'no-erasure-requested',
      approved: [],
      destroyed: [],
      completed: [],
    });
  });

  test('a refusal needs a request that waits, and comes too late after the approval', () => {
    holds(refuseErasure('legal-claims'), {
      none: 'no-erasure-requested',
      requested: [refused],
      refused: [],
      approved: 'erasure-approved',
      destroyed: 'erasure-approved',
      completed: 'erasure-approved',
    });
  });

  test('the destruction of the keys follows an approval, and counts from when they were destroyed', () => {
    holds(recordDestruction(destruction), {
      none: [],
      requested: [],
      refused: [],
      approved: [destroyed],
      destroyed: [],
      completed: [],
    });
  });

  test('completion follows the destruction, and the certificate names where that lies', () => {
    holds(completeErasure(), {
      none: [],
      requested: [],
      refused: [],
      approved: [],
      destroyed: [completed],
      completed: [],
    });
  });
});

test('a request keeps its note, a refusal its reason and note', () => {
  given(erasure)
    .when(requestErasure({ operationId: op(1), ...asked, note: 'by letter', approved: false }))
    .then({
      type: 'ErasureRequested',
      data: { operationId: op(1), ...asked, note: 'by letter' },
    });
  given(erasure, requested())
    .when(refuseErasure('archiving', 'see the file'))
    .then({
      type: 'ErasureRefused',
      data: { operationId: op(1), reason: 'archiving', note: 'see the file' },
    });
});

test('a refusal for another reason is no repetition: there is no request left to refuse', () => {
  given(erasure, requested(), refused)
    .when(refuseErasure('archiving'))
    .thenRefused('no-erasure-requested');
});

test('what a certificate needs is known from the request to the end', () => {
  const state = fold(
    erasure,
    HISTORIES.completed.map((fact, index) => recorded(fact, index)),
  );
  expect(state).toEqual({
    step: 'completed',
    operationId: op(1),
    ground: 'consent-withdrawn',
    requestedAt: '2026-01-01T00:00:00.000Z',
    destroyedAt,
    epoch: 7,
    position: '3',
    completedAt: '2026-01-01T00:00:00.000Z',
  });
});

test('an operation is told by itself: a refused one stays refused when a later one runs', () => {
  const history = [requested(), refused, requested(2), approved(2)].map((fact, index) =>
    recorded(fact, index),
  );
  expect(erasureOf(op(1), history)).toMatchObject({
    step: 'refused',
    operationId: op(1),
    reason: 'legal-claims',
  });
  expect(erasureOf(op(2), history)).toMatchObject({ step: 'approved', operationId: op(2) });
  expect(erasureOf(op(3), history)).toEqual({ step: 'none' });
});

describe('after the approval every append to the stream is refused, except to erasure itself', () => {
  const check = (step: Step, models: readonly string[]) =>
    nothingAfterErasure.check(
      HISTORIES[step].map((fact, index) => recorded(fact, index)),
      [],
      models,
    );

  test.each(['none', 'requested', 'refused'] as const)('%s: everything may follow', (step) => {
    expect(() => check(step, ['person-facts', 'subject'])).not.toThrow();
  });

  test.each(['approved', 'destroyed', 'completed'] as const)('%s: erasure alone may', (step) => {
    const gone = expect.objectContaining({ kind: 'gone', code: 'subject-erased' });
    expect(() => check(step, ['person-facts'])).toThrow(gone);
    expect(() => check(step, ['subject', 'erasure'])).toThrow(gone);
    expect(() => check(step, ['erasure'])).not.toThrow();
  });
});
