import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Receipt } from '../support/answers.js';
import { type RunningLedger, startLedger } from '../support/server.js';

/** What was recorded is sealed within seconds, and everybody who asks is told so. */
describe('given a ledger that seals', () => {
  let ledger: RunningLedger;
  beforeAll(async () => {
    ledger = await startLedger();
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  const receiptOf = async (id: string) =>
    (await ledger.api.get<Receipt>(`/v1/receipts/${id}`)).body;

  test('a receipt becomes sealed, and names the checkpoint', async () => {
    const { body: given } = await ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form' });
    expect(given).toMatchObject({ sealed: false });
    expect(given).not.toHaveProperty('checkpoint');
    let receipt = given;
    while (!receipt.sealed) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      receipt = await receiptOf(given.receiptId);
    }
    const { origin } = ledger.runtime.proof;
    expect(origin).toMatch(/^consent-ledger\/led_/);
    const checkpoint = await ledger.runtime.proof.log.newest();
    expect(receipt).toMatchObject({
      receiptId: given.receiptId,
      checkpoint: {
        origin,
        size: checkpoint?.size,
        root: Buffer.from(checkpoint?.root ?? []).toString('base64'),
      },
    });
  });

  test('a repetition that decides nothing is sealed from the start', async () => {
    const interaction = {
      source: 'web-form',
      occurredAt: '2026-01-01T00:00:00Z',
      choices: [{ objection: 'marketing', decision: 'raise' }],
    };
    const { body: person } = await ledger.api.post<Receipt>('/v1/subjects', { source: 'api' });
    const path = `/v1/subjects/${person.subjectId}/interactions`;
    const { body: first } = await ledger.api.post<Receipt>(path, interaction);
    while (!(await receiptOf(first.receiptId)).sealed)
      await new Promise((resolve) => setTimeout(resolve, 100));
    const { body: again } = await ledger.api.post<Receipt>(path, interaction);
    expect(again).toMatchObject({ events: [], position: first.position, sealed: true });
  });

  test('readiness and metrics tell how it goes', async () => {
    const { body: ready } = await ledger.api.get('/health/ready', { key: null });
    expect(ready).toMatchObject({ checks: { sealing: { ok: true } } });
    const { text } = await ledger.api.get('/metrics', { key: null });
    expect(text).toMatch(/^ledger_sealed_leaves [1-9]/m);
    expect(text).toMatch(/^ledger_sealer_refused 0$/m);
    expect(text).toMatch(/^ledger_sealer_behind_seconds /m);
  });
});
