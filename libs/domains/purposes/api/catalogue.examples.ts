/** Answers and bodies as the OpenAPI document shows them. The organisation in them is invented. */

const purposeId = 'pur_5d2f8c1e-73b4-8a60-9c1d-2e4f6a8b0c13';
const topicId = 'tpc_0b9d4e7a-1c3f-8d52-a6e8-7f5b3d1c9e24';
const noticeId = 'ntc_c4a7e1b3-96d2-8f08-b5c3-1a7d9e3f5b35';
const actor = { kind: 'officer', id: 'key_01983c5e-8a00-8c3e-9d51-1f0c5a7be0ff' };
const position = '412';

export const purposeBody = {
  key: 'newsletter',
  texts: { de: 'Newsletter', en: 'Newsletter' },
  controllers: ['nordwind'],
  marketing: true,
  allowedBases: ['consent'],
  channels: ['email'],
  minimumEvidence: 'notice',
  doubleOptIn: true,
  expiresAfter: 'P24M',
};

export const purposeExample = {
  purposeId,
  ...purposeBody,
  explicitConsent: false,
  dataCategories: [],
  recipients: [],
  definedAt: '2026-03-01T12:00:00.000Z',
  definitionRevision: 0,
  revision: 0,
  position,
};

export const retiredExample = {
  ...purposeExample,
  retiredAt: '2026-12-31T00:00:00.000Z',
  revision: 1,
};

export const purposesExample = { data: [purposeExample], page: {} };

const {
  position: _,
  definitionRevision: _d,
  revision: _r,
  definedAt: _a,
  ...defined
} = purposeExample;
const { purposeId: _p, ...definition } = defined;

export const historyExample = {
  data: [
    {
      revision: 0,
      position,
      change: 'defined',
      recordedAt: '2026-03-01T12:00:00.000Z',
      actor,
      definition,
    },
    {
      revision: 1,
      position: '518',
      change: 'retired',
      recordedAt: '2026-06-01T09:30:00.000Z',
      actor,
      retiredAt: '2026-12-31T00:00:00.000Z',
    },
  ],
  page: {},
};

export const topicBody = {
  key: 'product-news',
  purpose: 'newsletter',
  unset: 'follows-purpose',
  texts: { en: 'News about our products' },
};

export const topicExample = { topicId, ...topicBody, revision: 0, position };
export const topicsExample = { data: [topicExample], page: {} };
export const retiredTopicExample = {
  ...topicExample,
  retiredAt: '2026-12-31T00:00:00.000Z',
  revision: 1,
};

export const noticeBody = {
  purpose: 'newsletter',
  kind: 'consent',
  version: 1,
  language: 'en',
  text: 'I agree to receive the newsletter by e-mail. I can withdraw at any time.',
  publishedAt: '2026-03-01T12:00:00.000Z',
};

const words = {
  ...noticeBody,
  hash: '248375f737516439556ddad266d00552bc68c62f857f47e8d2434662460428c8',
};

export const publishedExample = { noticeId, ...words, revision: 0, position };
export const noticesExample = { data: [{ noticeId, ...words }], page: {} };

const { purpose, kind, ...version } = words;

export const noticeExample = {
  noticeId,
  purpose,
  kind,
  versions: [version],
  revision: 0,
  position,
};

const { text, hash, ...publication } = words;

export const wordsExample = { hash, text, published: [{ noticeId, ...publication }] };

export const controllerBody = {
  key: 'nordwind',
  name: 'Nordwind Fahrräder GmbH',
  contact: 'datenschutz@nordwind.example',
};

export const controllerExample = { ...controllerBody, revision: 0, position };
export const sourceExample = { key: 'trade-fair', revision: 0, position };
export const controllersExample = { data: [controllerBody], page: {}, revision: 0 };
export const sourcesExample = { data: [{ key: 'api' }, { key: 'web-form' }], page: {} };

export const defaultsBody = {
  bases: [{ purpose: 'orders', basis: 'contract', status: 'established' }],
};
export const defaultsExample = { ...defaultsBody, revision: 0, position };

export const catalogueBody = {
  controllers: [controllerBody],
  purposes: [purposeBody],
  notices: [noticeBody],
  topics: [topicBody],
};

const one = { defined: 1, revised: 0, unchanged: 0 };
const none = { defined: 0, revised: 0, unchanged: 0 };

export const appliedExample = {
  controllers: one,
  sources: none,
  purposes: one,
  notices: one,
  topics: one,
  defaults: none,
  position,
  visible: true,
};
