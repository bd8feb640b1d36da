import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Fact } from '#core/kernel/event.js';
import type { ApiKeyId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import {
  given,
  personalFieldsChangeNoDecision,
  recorded,
  retryDecidesNothingNew,
} from '#core/kernel/spec.js';
import { SCOPES as PLATFORM_SCOPES } from '#core/kernel/scopes.js';
import { type AccessEvent, ROLES, SCOPES } from './access.events.js';
import { apiKeys, issueApiKey, looks, recordLook, revokeApiKey, SCOPES_OF } from './access.js';

const keyId = 'key_00000000-0000-8000-8000-000000000001' as ApiKeyId;
const key = {
  keyId,
  name: 'Web shop',
  role: 'service',
  scopes: SCOPES_OF.service,
  secretHash: 'a'.repeat(64),
} as const;
const issued: Fact<AccessEvent> = { type: 'ApiKeyIssued', data: key };
const revoked: Fact<AccessEvent> = { type: 'ApiKeyRevoked', data: { keyId } };

describe('issuing a key', () => {
  it('records it', () => {
    given(apiKeys).when(issueApiKey(key)).then(issued);
  });
  it('again is nothing, whatever the secret', () => {
    given(apiKeys, issued)
      .when(issueApiKey({ ...key, secretHash: 'b'.repeat(64) }))
      .then();
    given(apiKeys, issued, revoked).when(issueApiKey(key)).then();
  });
});

describe('taking a key back', () => {
  it('records it once', () => {
    given(apiKeys, issued).when(revokeApiKey(keyId)).then(revoked);
    given(apiKeys, issued, revoked).when(revokeApiKey(keyId)).then();
  });
  it('needs the key', () => {
    given(apiKeys).when(revokeApiKey(keyId)).thenRefused('unknown-api-key');
  });
});

describe('a look', () => {
  const look = { viewed: 'subject', subjectId: 'sub_x' } as const;
  const viewed: Fact<AccessEvent> = { type: 'PersonalDataViewed', data: look };
  it('is recorded', () => {
    given(looks).when(recordLook(look)).then(viewed);
  });
  it('has a stream of its own', () => {
    given(looks, viewed).when(recordLook(look)).then();
  });
});

describe('keys', () => {
  it('hold no personal data, and the moment they were taken back first', () => {
    const first = '2026-01-01T00:00:00.000Z' as Instant;
    const later = '2026-02-01T00:00:00.000Z' as Instant;
    const keys = fold(apiKeys, [
      recorded(issued, 0, { recordedAt: first }),
      recorded({ ...revoked, occurredAt: first }, 1),
      recorded({ ...revoked, occurredAt: later }, 2),
    ]);
    expect(keys[keyId]).toEqual({
      keyId,
      role: 'service',
      scopes: SCOPES_OF.service,
      secretHash: key.secretHash,
      issuedAt: first,
      expiresAt: undefined,
      revokedAt: first,
    });
  });
});

describe('laws', () => {
  const history = fc.subarray([issued, revoked]);
  const decisions = fc.constantFrom(issueApiKey(key), revokeApiKey(keyId));
  it('a retry decides nothing new', () => {
    fc.assert(
      fc.property(history, decisions, (facts, decide) => {
        retryDecidesNothingNew(
          apiKeys,
          facts.map((fact, n) => recorded(fact, n)),
          decide,
        );
      }),
    );
  });
  it('personal fields change no decision', () => {
    fc.assert(
      fc.property(history, decisions, (facts, decide) => {
        const events = facts.map((fact, n) => recorded(fact, n));
        const personal = (type: string) => (type === 'ApiKeyIssued' ? ['name'] : []);
        personalFieldsChangeNoDecision(apiKeys, events, personal, decide);
      }),
    );
  });
});

describe('roles', () => {
  it('have scopes that the HTTP edge knows, and the edge no others', () => {
    expect([...PLATFORM_SCOPES].sort()).toEqual([...SCOPES].sort());
  });
  it('leave writing and looking to those who may: an auditor only reads', () => {
    const writing = /write|approve|admin|reveal/;
    expect(SCOPES_OF.auditor.filter((scope) => writing.test(scope))).toEqual([]);
    expect(ROLES.filter((role) => SCOPES_OF[role].includes('access:admin'))).toEqual(['admin']);
    expect(ROLES.filter((role) => SCOPES_OF[role].includes('erasure:approve'))).toEqual([
      'dpo',
      'admin',
    ]);
  });
});
