/** Bodies and answers as the OpenAPI document shows them. Nobody in them exists. */

const subjectId = 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001';
const eventId = 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa';
const asOf = '2026-03-02T00:00:00.000Z';

export const interactionExample = {
  occurredAt: '2026-03-01T11:58:20Z',
  source: 'customer-portal',
  collectionPoint: 'webshop-checkout',
  language: 'de',
  declaredBy: { kind: 'subject', assurance: 'login' },
  choices: [
    {
      purpose: 'e-marketing',
      decision: 'give',
      noticeVersion: 3,
      confirmation: { method: 'double-opt-in', at: '2026-03-01T12:04:05Z' },
    },
    { topic: 'product-news', channel: 'email', decision: 'on' },
  ],
};

export const basisExample = {
  basis: 'legitimate-interests',
  status: 'asserted',
  source: 'officer',
  assessment: 'LIA-2026-02',
};

export const questionExample = { subjectId, purpose: 'e-marketing', channel: 'email' };

export const answerExample = {
  allowed: true,
  code: 'allowed',
  reasons: [],
  basis: 'consent',
  since: '2026-03-01T12:04:05.000Z',
  event: { id: eventId, position: '1042' },
  asOf,
  position: '1100',
};

export const audienceExample = { purpose: 'e-marketing', channel: 'email', summary: 'full' };

export const audienceSummaryExample = {
  summary: {
    allowed: 1,
    asOf,
    position: '1100',
    excluded: { 'no-basis': 12, 'consent-withdrawn': 3 },
  },
};

export const bulkLineExample = {
  type: 'interaction',
  externalRef: { system: 'crm', id: '100001' },
  interaction: interactionExample,
};

export const verdictExample = {
  line: 1,
  status: 'recorded',
  receiptId: 'rcp_8d6f2a41-5b0e-8c19-a3d7-40e9b1c6f502',
  subjectId,
  position: '1042',
};
