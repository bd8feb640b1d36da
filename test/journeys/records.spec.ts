import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DPV_TERMS } from '#domains/evidence/domain/vocabulary.js';
import type { Operation, Problem, Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { type RunningLedger, startLedger } from '../support/server.js';

type Node = Readonly<Record<string, unknown>>;
interface Records {
  readonly '@graph': readonly Node[];
  readonly asOf: string;
  readonly knownAt: string;
  readonly position: string;
}

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const day = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 86_400_000).toISOString();

describe('given Hedy, whose consents were asked for, given, lost and taken back', () => {
  let ledger: RunningLedger;
  let hedy = '';
  const receipts: Receipt[] = [];

  const interact = async (occurredAt: string, choice: object, more: object = {}) => {
    const reply = await ledger.api.post<Receipt>(`/v1/subjects/${hedy}/interactions`, {
      source: 'web-form',
      collectionPoint: 'footer',
      language: 'en',
      occurredAt,
      choices: [choice],
      ...more,
    });
    expect(reply.status).toBe(201);
    receipts.push(reply.body);
    return reply.body;
  };
  const records = async (query = '') =>
    (await ledger.api.get<Records>(`/v1/subjects/${hedy}/records${query}`)).body;
  const ofType = ({ '@graph': graph }: Records, type: string) =>
    graph.filter((node) => node['@type'] === type);
  const statuses = (record: Node | undefined) =>
    (record?.['dpv:hasConsentStatus'] as Node[]).map((status) => [status['@type']].flat()[0]);
  const recordOf = (all: Records, purpose: string) =>
    ofType(all, 'dpv:ConsentRecord').find((record) => {
      const [process] = record['dpv:hasProcess'] as Node[];
      return (process?.['dpv:hasPurpose'] as Node)['dct:identifier'] === purpose;
    });

  beforeAll(async () => {
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: day(1),
      name: 'Hedy Lamarr',
      contactPoints: [{ kind: 'email', value: 'hedy@linden.example' }],
    });
    hedy = body.subjectId;
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  test('when nothing was said, then there is no record', async () => {
    expect((await records())['@graph']).toEqual([]);
  });

  test('when she gives without confirming, then the record says requested, and given once it counts', async () => {
    const give = { purpose: 'newsletter', decision: 'give', noticeVersion: 1 };
    await interact(day(2), give);
    expect(statuses(recordOf(await records(), 'newsletter'))).toEqual(['dpv:ConsentRequested']);
    const confirmation = { method: 'double-opt-in', at: day(3) };
    await interact(day(3), { purpose: 'newsletter', decision: 'confirm', confirmation });
    const record = recordOf(await records(), 'newsletter');
    expect(statuses(record)).toEqual(['dpv:ConsentRequested', 'dpv:ConsentGiven']);
    expect((record?.['dpv:hasConsentStatus'] as Node[])[1]).toMatchObject({
      '@type': ['dpv:ConsentGiven', 'dpv:ExpressedConsent'],
      'dpv:isIndicatedBy': 'dpv:DataSubject',
      'dpv:isIndicatedAtTime': day(3),
      'dpv:hasIndicationMethod': 'web-form, footer, double-opt-in',
      'dct:source': receipts[1]?.events[0]?.id,
    });
    expect(record).toMatchObject({
      'dpv:hasNotice': [
        { '@type': 'dpv:ConsentNotice', 'dct:language': 'en', 'dct:hasVersion': '1' },
      ],
      'dpv:hasEntity': [{ 'dpv:hasName': 'Linden Books Ltd' }],
    });
  });

  test('when a term runs out and another is given by a guardian, then every state is there', async () => {
    const profiling = { purpose: 'profiling', decision: 'give' };
    await interact(day(5), profiling);
    await interact(day(60), profiling, { declaredBy: { kind: 'guardian' } });
    await interact(day(61), { purpose: 'profiling', decision: 'withdraw' });
    const record = recordOf(await records(), 'profiling');
    expect(statuses(record)).toEqual([
      'dpv:ConsentGiven',
      'dpv:ConsentExpired',
      'dpv:ConsentGiven',
      'dpv:ConsentWithdrawn',
    ]);
    const [first, , second] = record?.['dpv:hasConsentStatus'] as Node[];
    expect(first).toMatchObject({ 'dpv:hasDuration': { '@type': 'dpv:UntilTimeDuration' } });
    expect(second).toMatchObject({ 'dpv:isIndicatedBy': 'dpv:GuardianOfDataSubject' });
  });

  test('each interaction has a receipt that names its record, with ids that stay', async () => {
    const all = await records();
    const found = ofType(all, 'dpv:ConsentReceipt');
    expect(found.map((receipt) => receipt['dct:source'])).toEqual(
      receipts.map(({ receiptId }) => receiptId),
    );
    const ids = ofType(all, 'dpv:ConsentRecord').map((record) => record['@id']);
    for (const receipt of found)
      for (const node of receipt['dpv:hasRecordOfActivity'] as Node[])
        expect(ids).toContain(node['@id']);
    for (const node of all['@graph']) expect(node['dct:identifier']).toMatch(UUID_4);
    expect((await records())['@graph']).toEqual(all['@graph']);
  });

  test('as of a day and as known then, as every read', async () => {
    const earlier = await records(`?asOf=${day(4)}&knownAt=position:${receipts[0]?.position}`);
    expect(statuses(recordOf(earlier, 'newsletter'))).toEqual(['dpv:ConsentRequested']);
    expect(earlier.asOf).toBe(day(4));
    expect(earlier.knownAt).toBe(`position:${receipts[0]?.position}`);
    expect(ofType(earlier, 'dpv:ConsentReceipt')).toHaveLength(1);
  });

  test('no term is used that is not on the list, and nothing personal is said', async () => {
    const text = JSON.stringify(await records());
    const used = text.match(/(?<=")(?:dpv|eu-gdpr):[A-Za-z0-9-]+(?=")/g) ?? [];
    expect(used.length).toBeGreaterThan(50);
    expect(used.filter((term) => !DPV_TERMS.some((known) => known === term))).toEqual([]);
    expect(text).not.toMatch(/Lamarr|hedy@/);
  });

  test('it needs the right, and a person', async () => {
    const key = await ledger.keyWith('subjects:read');
    const refused = await ledger.api.get<Problem>(`/v1/subjects/${hedy}/records`, { key });
    expect([refused.status, refused.body.code]).toEqual([403, 'scope-missing']);
    const unknown = await ledger.api.get<Problem>('/v1/subjects/sub_x/records');
    expect([unknown.status, unknown.body.code]).toEqual([404, 'unknown-subject']);
  });

  test('when she is erased, then her records stay as they were', async () => {
    const before = await records();
    const asked = await ledger.api.post<Operation>(`/v1/subjects/${hedy}/erasure`, {
      ground: 'consent-withdrawn',
    });
    for (let { status } = asked.body; status !== 'succeeded'; await sleep(50)) {
      const path = `/v1/operations/${asked.body.operationId}`;
      ({ status } = (await ledger.api.get<Operation>(path)).body);
    }
    expect((await records())['@graph']).toEqual(before['@graph']);
  });
});
