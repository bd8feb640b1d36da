import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Clock } from '#core/kernel/instant.js';
import type { Authenticator, Principal } from '#core/platform/http/auth.guard.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { type ApiKey, type ApiKeys, PRINCIPAL_OF } from '../domain/access.js';
import { SECRET, secretHashOf } from '../domain/secret.js';
import { KnownKeys } from './known-keys.js';

/** Milliseconds for which a key that was taken back may still open something in another process. */
const MAX_AGE = 1_000;

/** From this age on the next reading is begun without anybody waiting for it. */
const REFRESH_FROM = 500;

/** Milliseconds between readings for keys that nobody knows. */
const BETWEEN_MISSES = 200;

interface KnownKey {
  readonly key: ApiKey;
  readonly principal: Principal;
}

/**
 * Tells whose key a secret is, from the log itself. A key is known at once wherever it was issued: an
 * unknown one is looked for in the log again before it is refused. That costs one reading in 200 ms however
 * many wrong keys are tried; they wait for it together. Which key was last used when is not kept.
 */
@Injectable()
export class ApiKeyAuthenticator implements Authenticator {
  private keys: ApiKeys | undefined;
  private byHash: ReadonlyMap<string, KnownKey> = new Map();
  private missReadAt = -Infinity;
  private missReading: Promise<void> | undefined;

  constructor(
    private readonly known: KnownKeys,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(DIGEST) private readonly digest: Digest,
  ) {}

  async authenticate(secret: string): Promise<Principal | undefined> {
    if (!SECRET.test(secret)) return undefined;
    // Keys are found by a keyed digest: how long that takes tells nothing of a secret.
    const hash = secretHashOf(secret, this.digest);
    const found = (await this.keyOf(hash)) ?? (await this.readForMiss(), await this.keyOf(hash));
    if (!found || found.key.revokedAt !== undefined) return undefined;
    const { expiresAt } = found.key;
    return expiresAt !== undefined && expiresAt <= this.clock.now() ? undefined : found.principal;
  }

  private async keyOf(hash: string): Promise<KnownKey | undefined> {
    // Begun and not awaited: where it fails, those who come when it is due will hear of it.
    void this.known.asOf(REFRESH_FROM).catch(() => undefined);
    const keys = await this.known.asOf(MAX_AGE);
    if (keys !== this.keys) {
      this.keys = keys;
      this.byHash = new Map(
        Object.values(keys).map((key) => [key.secretHash, { key, principal: principalOf(key) }]),
      );
    }
    return this.byHash.get(hash);
  }

  /** A reading that begins after the call, shared by all who miss a key until it begins. */
  private readForMiss(): Promise<void> {
    this.missReading ??= (async () => {
      const wait = this.missReadAt + BETWEEN_MISSES - performance.now();
      // In any case not in the same turn: what is cleared here must have been set.
      await (wait > 0 ? sleep(wait) : undefined);
      this.missReading = undefined;
      this.missReadAt = performance.now();
      await this.known.asOf(0);
    })();
    return this.missReading;
  }
}

function principalOf({ keyId, role, scopes }: ApiKey): Principal {
  return {
    kind: role ? PRINCIPAL_OF[role] : 'service',
    id: keyId,
    keyId,
    scopes: new Set(scopes),
  };
}
