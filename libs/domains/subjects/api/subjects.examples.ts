/** Bodies and answers as the OpenAPI document shows them. Nobody in them exists. */

const subjectId = 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001';

export const registrationExample = {
  source: 'web-form',
  name: 'Anna Beispiel',
  language: 'de',
  contactPoints: [{ kind: 'email', value: 'anna@example.com' }],
  externalRefs: [{ system: 'crm', id: '100001' }],
  bases: [{ purpose: 'sales-and-service', basis: 'contract', status: 'established' }],
};

export const searchExample = { contactPoint: { kind: 'email', value: 'anna@example.com' } };

export const foundExample = { subjects: [{ subjectId }] };

export const subjectExample = {
  subjectId,
  asOf: '2026-03-02T00:00:00.000Z',
  position: '1042',
  revision: 3,
  identity: {
    registeredAt: '2026-03-01T11:50:00.000Z',
    language: 'de',
    name: '***',
    contactPoints: [
      {
        id: 'cpt_8d6f2a41-5b0e-8c19-a3d7-40e9b1c6f510',
        kind: 'email',
        value: '***@example.com',
        verified: false,
        since: '2026-03-01T11:50:00.000Z',
      },
    ],
  },
  purposes: [
    {
      purpose: 'e-marketing',
      allowed: true,
      code: 'allowed',
      reasons: [],
      basis: 'consent',
      since: '2026-03-01T12:04:05.000Z',
      event: { id: 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa', position: '1042' },
      bases: [],
    },
  ],
  topics: { 'product-news': { email: 'on' } },
  objectsToMarketing: false,
};
