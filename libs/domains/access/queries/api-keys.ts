import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Opened } from '#core/kernel/event.js';
import { type ApiKeyId, streamOf } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { present } from '#core/kernel/pii.js';
import { Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import type { ApiKeyIssued, Role, Scope } from '../domain/access.events.js';
import type { ApiKey } from '../domain/access.js';
import { KnownKeys } from './known-keys.js';

/** A key as administrators see it: never the secret, nor its hash. */
export interface ApiKeyView {
  readonly keyId: ApiKeyId;
  readonly name?: string;
  readonly role?: Role;
  readonly scopes: readonly Scope[];
  readonly status: 'active' | 'expired' | 'revoked';
  readonly issuedAt: Instant;
  readonly expiresAt?: Instant;
  readonly revokedAt?: Instant;
}

/** Keys in the order in which they were issued, the newest first. */
export class ListApiKeys extends Query<readonly ApiKeyView[]> {
  constructor(
    /** The last one of the page before: when it was issued, and its id. */
    readonly after: readonly [issuedAt: string, keyId: string] | undefined,
    readonly limit: number,
  ) {
    super();
  }
}

/** One key; refused with `unknown-api-key` where there is none. */
export class ViewApiKey extends Query<ApiKeyView> {
  constructor(readonly keyId: ApiKeyId) {
    super();
  }
}

@QueryHandler(ListApiKeys)
export class ListApiKeysHandler implements IQueryHandler<ListApiKeys> {
  constructor(
    private readonly known: KnownKeys,
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ after, limit }: ListApiKeys): Promise<readonly ApiKeyView[]> {
    const keys = Object.values(await this.known.asOf(0)).sort(newestFirst);
    const rest = after ? keys.filter((key) => comesAfter(key, after)) : keys;
    return viewsOf(rest.slice(0, limit), this.ledger, this.clock.now());
  }
}

@QueryHandler(ViewApiKey)
export class ViewApiKeyHandler implements IQueryHandler<ViewApiKey> {
  constructor(
    private readonly known: KnownKeys,
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ keyId }: ViewApiKey): Promise<ApiKeyView> {
    const key = (await this.known.asOf(0))[keyId];
    const [view] = await viewsOf(key ? [key] : [], this.ledger, this.clock.now());
    if (!view) throw new Refused('not-found', 'unknown-api-key', 'there is no such key');
    return view;
  }
}

function newestFirst(a: ApiKey, b: ApiKey): number {
  const [x, y] = [`${a.issuedAt} ${a.keyId}`, `${b.issuedAt} ${b.keyId}`];
  return x < y ? 1 : x > y ? -1 : 0;
}

function comesAfter(key: ApiKey, [issuedAt, keyId]: readonly [string, string]): boolean {
  return `${key.issuedAt} ${key.keyId}` < `${issuedAt} ${keyId}`;
}

async function viewsOf(
  keys: readonly ApiKey[],
  ledger: Ledger,
  now: Instant,
): Promise<ApiKeyView[]> {
  if (keys.length === 0) return [];
  const streams = await ledger.readMany(keys.map(({ keyId }) => streamOf('key', keyId)));
  const opened = await ledger.open(
    [...streams.values()].flat().filter(({ type }) => type === 'ApiKeyIssued'),
  );
  const names = new Map(
    (opened as Opened<ApiKeyIssued>[]).map(({ data }) => [data.keyId, present(data.name)]),
  );
  return keys.map(({ keyId, role, scopes, issuedAt, expiresAt, revokedAt }) => ({
    keyId,
    name: names.get(keyId),
    role,
    scopes,
    status: revokedAt
      ? 'revoked'
      : expiresAt !== undefined && expiresAt <= now
        ? 'expired'
        : 'active',
    issuedAt,
    expiresAt,
    revokedAt,
  }));
}
