/** Answers as the OpenAPI document shows them. Nobody in them exists. */

const recordId = '5f0c2d1e-8c0b-4a47-9f0c-0b6a6f6d3b11';
const person = 'urn:uuid:01983c5e-8a00-7c3e-9d51-1f0c5a7be001';

export const recordsExample = {
  '@context': {
    dpv: 'https://w3id.org/dpv#',
    'eu-gdpr': 'https://w3id.org/dpv/legal/eu/gdpr#',
    dct: 'http://purl.org/dc/terms/',
    schema: 'https://schema.org/',
  },
  '@graph': [
    {
      '@id': `urn:uuid:${recordId}`,
      '@type': 'dpv:ConsentRecord',
      'dct:identifier': recordId,
      'dpv:hasIdentifier': recordId,
      'dct:created': '2026-03-01T11:58:20.114Z',
      'dpv:hasDataSubject': { '@id': person, '@type': 'dpv:DataSubject' },
      'dpv:hasProcess': [
        {
          '@type': 'dpv:Process',
          'dpv:hasPurpose': {
            '@id': 'urn:uuid:01983c5e-8a00-8c3e-9d51-1f0c5a7be0a1',
            '@type': 'dpv:Purpose',
            'skos:broader': 'dpv:DirectMarketing',
            'dct:identifier': 'e-marketing',
            'dct:title': 'E-marketing',
          },
          'dpv:hasLegalBasis': 'eu-gdpr:A6-1-a',
        },
      ],
      'dpv:hasConsentStatus': [
        {
          '@type': ['dpv:ConsentGiven', 'dpv:ExpressedConsent'],
          'dpv:isIndicatedBy': 'dpv:DataSubject',
          'dpv:isIndicatedAtTime': '2026-03-01T11:58:20.000Z',
          'dpv:hasIndicationMethod': 'customer-portal, double-opt-in',
          'dct:source': 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa',
        },
      ],
    },
    {
      '@id': 'urn:uuid:0d9c1c58-27a4-4a9d-8a0d-6f5d1f7b1c22',
      '@type': 'dpv:ConsentReceipt',
      'dct:identifier': '0d9c1c58-27a4-4a9d-8a0d-6f5d1f7b1c22',
      'dpv:hasIdentifier': '0d9c1c58-27a4-4a9d-8a0d-6f5d1f7b1c22',
      'dct:created': '2026-03-01T11:58:20.114Z',
      'schema:recipient': person,
      'dct:source': 'rcp_8d6f2a41-5b0e-8c19-a3d7-40e9b1c6f502',
      'dpv:hasRecordOfActivity': [{ '@id': `urn:uuid:${recordId}` }],
    },
  ],
  asOf: '2026-03-02T00:00:00.000Z',
  knownAt: 'position:1100',
  position: '1100',
};

export const evidenceExample = {
  subjects: ['sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001'],
  period: { to: '2026-07-01T00:00:00.000Z' },
  reveal: false,
};
