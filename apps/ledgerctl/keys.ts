import type { Api } from './api.js';
import type { Output } from './output.js';

interface ApiKey {
  readonly keyId: string;
  readonly role?: string;
  readonly scopes: readonly string[];
  readonly expiresAt?: string;
  readonly revokedAt?: string;
}

export async function listKeys(api: Api, out: Output): Promise<void> {
  const { body } = await api.call<{ data: ApiKey[] }>('GET', '/v1/api-keys?limit=200');
  for (const key of body.data) {
    const state = key.revokedAt
      ? `revoked ${key.revokedAt}`
      : key.expiresAt
        ? `until ${key.expiresAt}`
        : 'valid';
    out.item(key, `${key.keyId}  ${key.role ?? '-'}  ${state}  ${key.scopes.join(' ')}`);
  }
}

export interface IssueOptions {
  readonly name?: string;
  readonly role?: string;
  readonly expiresAt?: string;
  /** Separated by commas. */
  readonly scopes?: string;
}

export async function issueKey(
  api: Api,
  { scopes, ...options }: IssueOptions,
  out: Output,
): Promise<void> {
  const { body } = await api.call<{ keyId: string; secret: string }>('POST', '/v1/api-keys', {
    ...options,
    scopes: scopes?.split(','),
  });
  out.result(body, `${body.keyId}\n${body.secret}  (shown once)`);
}

export async function revokeKey(api: Api, keyId: string, out: Output): Promise<void> {
  await api.call('DELETE', `/v1/api-keys/${keyId}`);
  out.result({ keyId, revoked: true }, `${keyId} opens nothing any more`);
}
