/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The access slice: who may do what, and who looked at whose data.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { ApiKeyId, Id } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Pii } from '#core/kernel/pii.js';
import type { Position } from '#core/kernel/position.js';
import { type Scope, SCOPES } from '#core/kernel/scopes.js';

export { type Scope, SCOPES };

export const ROLES = ['service', 'officer', 'dpo', 'auditor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** A look at personal data was about to be given; it is recorded first (Art. 5(2), Art. 32). */
export type PersonalDataViewed = Event<
  'PersonalDataViewed',
  {
    readonly viewed: 'subject' | 'audience' | 'timeline' | 'evidence';
    readonly subjectId?: string;
    readonly purpose?: string;
    readonly topic?: string;
    readonly channel?: string;
    readonly asOf?: Instant;
    readonly knownAt?: Position;
    readonly included?: readonly string[];
  }
>;

/** A user was given a role. */
export type RoleGranted = Event<
  'RoleGranted',
  { readonly userId: Id<'usr'>; readonly role: Role; readonly expiresAt?: Instant }
>;

/** A role was taken from a user. */
export type RoleRevoked = Event<'RoleRevoked', { readonly userId: Id<'usr'>; readonly role: Role }>;

/** A key for programs or people was issued; of its secret only a keyed digest is kept. */
export type ApiKeyIssued = Event<
  'ApiKeyIssued',
  {
    readonly keyId: ApiKeyId;
    readonly name?: Pii<string>;
    readonly role?: Role;
    readonly scopes: readonly Scope[];
    /** HMAC-SHA256 of the secret under a key of the ledger's own, hex. */
    readonly secretHash: string;
    readonly expiresAt?: Instant;
  }
>;

/** A key was taken back; it opens nothing any more. */
export type ApiKeyRevoked = Event<'ApiKeyRevoked', { readonly keyId: ApiKeyId }>;

export type AccessEvent =
  PersonalDataViewed | RoleGranted | RoleRevoked | ApiKeyIssued | ApiKeyRevoked;

export const accessEvents = catalogue<AccessEvent>({
  PersonalDataViewed: {
    version: 1,
    says: { en: 'Looked at personal data ({viewed})', de: 'Personendaten eingesehen ({viewed})' },
  },
  RoleGranted: { version: 1, says: { en: 'Role {role} granted', de: 'Rolle {role} erteilt' } },
  RoleRevoked: { version: 1, says: { en: 'Role {role} revoked', de: 'Rolle {role} entzogen' } },
  ApiKeyIssued: {
    version: 1,
    sealed: { name: 'identity' },
    says: { en: 'API key issued', de: 'API-Schlüssel ausgestellt' },
  },
  ApiKeyRevoked: {
    version: 1,
    says: { en: 'API key revoked', de: 'API-Schlüssel entzogen' },
  },
});
