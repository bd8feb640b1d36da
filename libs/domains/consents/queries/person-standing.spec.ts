import { expect, test } from '@jest/globals';
import type { QueryBus } from '@nestjs/cqrs';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Fact } from '#core/kernel/event.js';
import { newId, type StreamName, streamOf } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { Codec } from '#core/ledger/codec.js';
import { Ledger } from '#core/ledger/ledger.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { erasureEvents } from '#domains/erasure/domain/erasure.events.js';
import { purposeEvents } from '#domains/purposes/domain/purposes.events.js';
import type { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { AnswerPrivacyCentre } from '#domains/purposes/queries/privacy-centre.js';
import { subjectEvents } from '#domains/subjects/domain/subjects.events.js';
import { consentEvents } from '../domain/consents.events.js';
import { AnswerPersonStanding } from './person-standing.js';
import { AskPersonStanding } from './person-standing.message.js';

const at = (day: number) => `2026-02-0${day}T00:00:00.000Z` as Instant;
const catalogue = joinCatalogues(consentEvents, erasureEvents, purposeEvents, subjectEvents);
const ledger = new Ledger(new MemoryLedger(), new Codec(catalogue, new MemoryVault()));
const centre = new AnswerPrivacyCentre(ledger);
const queries = {
  execute: (query: AskPrivacyCentre) => centre.execute(query),
} as unknown as QueryBus;

async function record(stream: StreamName, day: number, type: string, data: object) {
  const occasion = {
    occurredAt: at(day),
    actor: { kind: 'service', id: 'key_x' },
    source: 'api',
    interactionId: newId('rcp'),
    correlationId: 'spec',
  } as const;
  const decide = () => [{ type, data } as Fact];
  const { position } = await ledger.transact(stream, occasion, [
    { model: { name: 'spec', initial: undefined, evolve: {} }, decide },
  ]);
  return position;
}

test('what held before an erasure is shown to those alone who may see behind it', async () => {
  const purposeId = newId('pur');
  await record(streamOf('purpose', purposeId), 1, 'PurposeDefined', {
    purposeId,
    key: 'newsletter',
    texts: { en: 'Newsletter' },
    controllers: [],
    marketing: true,
    allowedBases: ['consent'],
    channels: [],
    minimumEvidence: 'none',
    doubleOptIn: false,
    explicitConsent: false,
    dataCategories: [],
    recipients: [],
  });
  const subjectId = newId('sub');
  const stream = streamOf('subject', subjectId);
  const operationId = newId('op');
  await record(stream, 1, 'SubjectRegistered', { subjectId });
  const granted = await record(stream, 2, 'ConsentGiven', {
    purpose: 'newsletter',
    purposeRevision: 0,
    noticeEvidence: 'none',
  });
  const ask = (behindErasure: boolean, day = 3) =>
    new AnswerPersonStanding(ledger, queries).execute(
      new AskPersonStanding(subjectId, at(day), granted, behindErasure),
    );
  const before = await ask(false);
  expect(before.purposes).toMatchObject([{ purpose: 'newsletter', allowed: true }]);

  await record(stream, 4, 'ErasureRequested', {
    operationId,
    ground: 'objected',
    dutiesToRetain: [],
  });
  await record(stream, 4, 'ErasureApproved', { operationId });
  expect(await ask(false)).toEqual(before);
  const destroyed = { operationId, keyIds: [], destroyedAt: at(4), epoch: 1 };
  await record(stream, 4, 'KeyDestroyed', destroyed);

  expect(await ask(true)).toEqual(before);
  const hidden = await ask(false);
  expect(hidden.person).toBeUndefined();
  expect(hidden.purposes).toEqual([
    { purpose: 'newsletter', allowed: false, code: 'erased', reasons: ['erased'], bases: [] },
  ]);
});
