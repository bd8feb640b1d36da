/** Answers and bodies as the OpenAPI document shows them. The keys in them were never issued. */

const keyId = 'key_3f1c9a7e-5d2b-8e46-91a0-6c8d4b2f0e17';
const recordedAt = '2026-03-01T12:00:00.000Z';
const expiresAt = '2027-03-01T00:00:00.000Z';
const scopes = ['choices:write', 'bases:write', 'decisions:read', 'subjects:read', 'events:read'];

export const newKeyBody = { name: 'Web shop', role: 'service', expiresAt };

export const issuedKeyExample = {
  keyId,
  secret: 'clk_EXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEX',
  role: 'service',
  scopes,
  expiresAt,
  revision: 0,
  position: '415',
  recordedAt,
};

export const keyExample = {
  keyId,
  name: 'Web shop',
  role: 'service',
  scopes,
  status: 'active',
  issuedAt: recordedAt,
  expiresAt,
};

export const keysExample = { data: [keyExample], page: {} };

export const auditExample = {
  data: [
    {
      position: '1042',
      eventId: 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa',
      recordedAt: '2026-03-02T08:15:03.120Z',
      actor: { kind: 'officer', id: keyId },
      action: 'PersonalDataViewed',
      target: 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001',
    },
  ],
  page: {},
  position: '1100',
};
