import { expect, test } from '@jest/globals';
import type { Kysely } from 'kysely';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Fact } from '#core/kernel/event.js';
import { newId, type OperationId, streamOf } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { Codec } from '#core/ledger/codec.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import type { ReadModels } from '#core/platform/read-models.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { completeErasure, type Erasure, erasure, recordDestruction } from '../domain/erasure.js';
import { type ErasureEvent, erasureEvents } from '../domain/erasure.events.js';
import { operationView } from '../views/operation.view.js';
import { AnswerOperation, AskOperation } from './operation.js';

const vault = new MemoryVault();
const ledger = new Ledger(new MemoryLedger(), new Codec(joinCatalogues(erasureEvents), vault));
const subjectId = newId('sub');
const [first, second] = [newId('op'), newId('op')];

async function record(...decisions: Decision<Erasure, ErasureEvent>[]) {
  const interactionId = newId('rcp');
  await ledger.transact(
    streamOf('subject', subjectId),
    {
      occurredAt: '2026-03-01T12:00:00.000Z' as Instant,
      actor: { kind: 'service', id: 'key_x' },
      source: 'api',
      interactionId,
      correlationId: 'spec',
    },
    decisions.map((decide) => step(erasure, decide)),
  );
}
const says =
  (...facts: readonly Fact<ErasureEvent>[]) =>
  () =>
    facts;

/** Whose it is is given, so the read model is not asked. */
async function shown(operationId: OperationId) {
  const query = new AnswerOperation({} as Kysely<unknown>, {} as ReadModels, ledger, vault);
  return operationView(await query.execute(new AskOperation(operationId, subjectId)));
}
const requested = (operationId: OperationId) =>
  ({
    type: 'ErasureRequested',
    data: { operationId, ground: 'objected', dutiesToRetain: [] },
  }) as const;

test('a refused operation keeps its own answer when a later one is done', async () => {
  await record(
    says(requested(first), {
      type: 'ErasureRefused',
      data: { operationId: first, reason: 'archiving' },
    }),
  );
  const refused = await shown(first);
  expect(refused).toMatchObject({ status: 'failed', problem: { reason: 'archiving' } });

  await record(says(requested(second), { type: 'ErasureApproved', data: { operationId: second } }));
  expect(await shown(first)).toEqual(refused);
  expect(await shown(second)).toMatchObject({ operationId: second, status: 'running' });
  expect(await shown(newId('op'))).toBeUndefined();
});

test('a certificate says since when no copy can be read, once the key epoch is closed', async () => {
  await vault.keysFor([{ owner: subjectId, compartment: 'identity' }]);
  const destroyed = await vault.destroy(subjectId);
  await record(recordDestruction(destroyed));
  await record(completeErasure());

  const open = (await shown(second))?.result?.certificate;
  expect(open).toMatchObject({ epoch: 1, epochStatus: 'open' });
  expect(open?.unreadableInEveryCopySince).toBeUndefined();

  const { closed } = await vault.rotate();
  expect((await shown(second))?.result?.certificate).toEqual({
    ...open,
    epochStatus: 'closed',
    unreadableInEveryCopySince: closed[0]?.closedAt,
  });
});
