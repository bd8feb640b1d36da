/** Answers as the OpenAPI document shows them. Nobody in them exists. */

const subjectId = 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001';
const receiptId = 'rcp_8d6f2a41-5b0e-8c19-a3d7-40e9b1c6f502';
const eventId = 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa';
const salt = 'q3J0u1m5Zy8nT4w7RkXcVg';

const actor = { kind: 'service', id: 'key_01983c5e-8a00-7c3e-9d51-1f0c5a7be0ff' };
const declaredBy = { kind: 'subject', assurance: 'login' };
const occurredAt = '2026-03-01T11:58:20.000Z';
const recordedAt = '2026-03-01T11:58:20.114Z';
const given = {
  purpose: 'e-marketing',
  purposeRevision: 2,
  notice: {
    id: 'ntc_01983c5e-8a00-7c3e-9d51-1f0c5a7be010',
    version: 3,
    language: 'en',
    hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  },
  noticeEvidence: 'complete',
};

export const timelineExample = {
  subjectId,
  items: [
    {
      id: eventId,
      type: 'ConsentGiven',
      revision: 3,
      position: '1042',
      occurredAt,
      recordedAt,
      text: 'Consent given for E-marketing [e-marketing]',
      data: given,
      actor,
      declaredBy,
      source: 'customer-portal',
      receiptId,
    },
  ],
  page: {},
  asOf: '2026-03-02T00:00:00.000Z',
  knownAt: 'position:1100',
  position: '1100',
};

const withdrawalId = 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0ab';
const withdrawnAt = '2026-06-11T18:03:40.000Z';

export const comparisonExample = {
  subjectId,
  from: { asOf: '2026-06-01T00:00:00.000Z', knownAt: 'position:2210', position: '2210' },
  to: { asOf: '2026-07-01T00:00:00.000Z', knownAt: 'position:2210', position: '2210' },
  changes: [
    {
      what: 'purpose',
      purpose: 'e-marketing',
      from: {
        purpose: 'e-marketing',
        allowed: true,
        code: 'allowed',
        reasons: [],
        basis: 'consent',
        since: occurredAt,
        event: { id: eventId, position: '1042' },
        bases: [
          {
            basis: 'consent',
            status: 'given',
            since: occurredAt,
            event: { id: eventId, position: '1042' },
          },
        ],
      },
      to: {
        purpose: 'e-marketing',
        allowed: false,
        code: 'consent-withdrawn',
        reasons: ['consent-withdrawn'],
        since: withdrawnAt,
        event: { id: withdrawalId, position: '2188' },
        bases: [
          {
            basis: 'consent',
            status: 'withdrawn',
            since: withdrawnAt,
            event: { id: withdrawalId, position: '2188' },
          },
        ],
      },
      events: [
        {
          id: withdrawalId,
          type: 'ConsentWithdrawn',
          position: '2188',
          occurredAt: withdrawnAt,
          recordedAt: '2026-06-11T18:03:40.211Z',
          text: 'Consent withdrawn for E-marketing [e-marketing]',
        },
      ],
      byTime: false,
    },
  ],
};

export const receiptExample = {
  receiptId,
  subjectId,
  revision: 3,
  position: '1042',
  recordedAt,
  events: [{ id: eventId, type: 'ConsentGiven', revision: 3, position: '1042' }],
  visible: true,
  sealed: false,
};

export const envelopeExample = {
  actor,
  correlationId: '4bf92f3577b34da6a3ce929d0e0e4736',
  data: { ...given, comment: { sealed: 'AQIDBAUGBwgJCgsMDQ4PEA' } },
  declaredBy,
  id: eventId,
  interactionId: receiptId,
  occurredAt,
  recordedAt,
  revision: 3,
  salt,
  source: 'customer-portal',
  stream: `subject-${subjectId}`,
  type: 'ConsentGiven',
  version: 1,
  position: '1042',
};

/** A log with the leaves `a`, `b` and `c`; its hashes and its signature hold. */
const root = 'NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=';

export const checkpointExample =
  `ledger.example/consents\n3\n${root}\n\n` +
  '— ledger.example/consents 8fjQV0wwattvv8ur35HE/uPD6qv6RTW21wZZbs1qGvGP+mxByWz0aDFiEnUmi95BH0oVitp+eCV4poAfLLbrD0BNbQ0=\n';

const hashes = [
  'Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=',
  'WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=',
];

export const proofExample = {
  index: 1,
  position: '2',
  leafHash: 'V+s1YV1H807HFMrN9f10YIpejhAnJOgLJLKHwMJ7ajE=',
  size: 3,
  root,
  hashes,
  checkpoint: checkpointExample,
  tlogProof: `c2sp.org/tlog-proof@v1\nindex 1\n${hashes.join('\n')}\n\n${checkpointExample}`,
};

export const logKeysExample = {
  origin: 'ledger.example/consents',
  keys: [
    {
      verifierKey: 'ledger.example/consents+f1f8d057+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs',
      from: '2026-01-02T08:00:04.000Z',
    },
  ],
};
