import type { ApiKeyId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { type Decision, ignored, model } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import {
  type AccessEvent,
  type PersonalDataViewed,
  type Role,
  type Scope,
  SCOPES,
} from './access.events.js';

/** What each role may do. An auditor only reads, and never for ever. */
export const SCOPES_OF: Readonly<Record<Role, readonly Scope[]>> = {
  service: ['choices:write', 'bases:write', 'decisions:read', 'subjects:read', 'events:read'],
  officer: ['choices:write', 'bases:write', 'decisions:read', 'subjects:read', 'subjects:reveal'],
  dpo: [
    'choices:write',
    'bases:write',
    'decisions:read',
    'subjects:read',
    'subjects:reveal',
    'events:read',
    'evidence:read',
    'catalogue:write',
    'erasure:approve',
    'audit:read',
  ],
  auditor: ['decisions:read', 'subjects:read', 'events:read', 'evidence:read', 'audit:read'],
  admin: SCOPES,
};

/** Who stands behind a key of each role: a program, or a person in office. */
export const PRINCIPAL_OF: Readonly<Record<Role, 'service' | 'officer'>> = {
  service: 'service',
  officer: 'officer',
  dpo: 'officer',
  auditor: 'officer',
  admin: 'officer',
};

export interface ApiKey {
  readonly keyId: ApiKeyId;
  readonly role?: Role;
  readonly scopes: readonly Scope[];
  readonly secretHash: string;
  readonly issuedAt: Instant;
  readonly expiresAt?: Instant;
  readonly revokedAt?: Instant;
}

/** By key id. Folded over all `key-` streams to know who may come in, over one of them to decide. */
export type ApiKeys = Readonly<Record<string, ApiKey>>;

export const apiKeys = model<AccessEvent>()<ApiKeys>({
  name: 'api-keys',
  initial: {},
  evolve: {
    PersonalDataViewed: ignored,
    RoleGranted: ignored,
    RoleRevoked: ignored,
    ApiKeyIssued: (state, { data, recordedAt }) => ({
      ...state,
      [data.keyId]: {
        keyId: data.keyId,
        role: data.role,
        scopes: data.scopes,
        secretHash: data.secretHash,
        issuedAt: recordedAt,
        expiresAt: data.expiresAt,
      },
    }),
    ApiKeyRevoked: (state, { data, recordedAt }) => {
      const key = state[data.keyId];
      return key
        ? { ...state, [data.keyId]: { ...key, revokedAt: key.revokedAt ?? recordedAt } }
        : state;
    },
  },
});

type Decide = Decision<ApiKeys, AccessEvent>;

export function issueApiKey(key: {
  readonly keyId: ApiKeyId;
  readonly name?: string;
  readonly role?: Role;
  readonly scopes: readonly Scope[];
  readonly secretHash: string;
  readonly expiresAt?: Instant;
}): Decide {
  return (state) => (key.keyId in state ? [] : [{ type: 'ApiKeyIssued', data: key }]);
}

export function revokeApiKey(keyId: ApiKeyId): Decide {
  return (state) => {
    const key = state[keyId];
    if (!key) throw new Refused('not-found', 'unknown-api-key', 'there is no such key');
    return key.revokedAt ? [] : [{ type: 'ApiKeyRevoked', data: { keyId } }];
  };
}

/** Every look has a stream of its own: it was recorded there, or not yet. */
export const looks = model<AccessEvent>()<{ readonly recorded: boolean }>({
  name: 'looks',
  initial: { recorded: false },
  evolve: {
    PersonalDataViewed: () => ({ recorded: true }),
    RoleGranted: ignored,
    RoleRevoked: ignored,
    ApiKeyIssued: ignored,
    ApiKeyRevoked: ignored,
  },
});

export function recordLook(
  look: PersonalDataViewed['data'],
): Decision<{ readonly recorded: boolean }, AccessEvent> {
  return ({ recorded }) => (recorded ? [] : [{ type: 'PersonalDataViewed', data: look }]);
}
