import { describe, expect, it } from '@jest/globals';
import type { Instant } from '#core/kernel/instant.js';
import { Refused } from '#core/kernel/refused.js';
import { SCOPES } from './access.events.js';
import { SCOPES_OF } from './access.js';
import { type KeyRequest, scopesFor } from './key-request.js';
import { SECRET, SECRET_LENGTH, secretFrom } from './secret.js';

const NOW = '2026-03-01T12:00:00.000Z' as Instant;
const TOMORROW = '2026-03-02T12:00:00.000Z' as Instant;
const all = new Set(SCOPES);

function refusal(request: KeyRequest, issuer = all): string[] {
  try {
    scopesFor(request, issuer, NOW);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.more.violations?.map(({ pointer, code }) => `${pointer} ${code}`) ?? [error.code];
  }
  throw new Error('was not refused');
}

describe('the scopes of a new key', () => {
  it('are those of its role, or those that are named', () => {
    expect(scopesFor({ role: 'service' }, all, NOW)).toEqual(SCOPES_OF.service);
    expect(scopesFor({ scopes: ['events:read', 'events:read'] }, all, NOW)).toEqual([
      'events:read',
    ]);
    expect(scopesFor({ role: 'dpo', scopes: ['audit:read'] }, all, NOW)).toEqual(['audit:read']);
  });
  it('need a role or a list', () => {
    expect(refusal({})).toEqual([' required']);
  });
  it('are at most those of the role', () => {
    expect(refusal({ role: 'service', scopes: ['events:read', 'access:admin'] })).toEqual([
      '/scopes/1 scope-not-of-role',
    ]);
  });
  it('are at most those of who issues it', () => {
    expect(refusal({ role: 'service' }, new Set(['access:admin'] as const) as typeof all)).toEqual([
      'scope-missing',
    ]);
    expect(refusal({ scopes: ['audit:read'] }, new Set(SCOPES_OF.service))).toEqual([
      'scope-missing',
    ]);
  });
});

describe('the end of a new key', () => {
  it('lies ahead', () => {
    expect(refusal({ role: 'service', expiresAt: NOW })).toEqual(['/expiresAt in-the-past']);
    expect(scopesFor({ role: 'service', expiresAt: TOMORROW }, all, NOW)).toHaveLength(5);
  });
  it('is needed for an auditor', () => {
    expect(refusal({ role: 'auditor' })).toEqual(['/expiresAt required']);
    expect(scopesFor({ role: 'auditor', expiresAt: TOMORROW }, all, NOW)).toEqual(
      SCOPES_OF.auditor,
    );
  });
});

describe('a secret', () => {
  it('is made of random bytes, passing over one value of 64', () => {
    const secret = secretFrom(Uint8Array.from({ length: 60 }, (_, n) => n + 40));
    expect(secret).toMatch(SECRET);
    expect(secret).toHaveLength('clk_'.length + SECRET_LENGTH);
    expect(secretFrom(new Uint8Array(60).fill(63))).toBeUndefined();
    expect(secretFrom(new Uint8Array(SECRET_LENGTH))).toBe(`clk_${'A'.repeat(SECRET_LENGTH)}`);
    expect(secretFrom(new Uint8Array(SECRET_LENGTH - 1))).toBeUndefined();
  });
  it('has every character equally often', () => {
    const counts = new Map<string, number>();
    for (let byte = 0; byte < 256; byte++) {
      const [character] = secretFrom(new Uint8Array(SECRET_LENGTH).fill(byte))?.slice(4) ?? [];
      if (character) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    expect(counts.size).toBe(63);
    expect(new Set(counts.values())).toEqual(new Set([4]));
  });
});
