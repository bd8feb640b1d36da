import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { type ApiKeyId, idFrom, streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import type { Derivation } from '#core/vault/port.js';
import { DERIVATION } from '#core/vault/tokens.js';
import { type Role, ROLES, type Scope, SCOPES } from '../domain/access.events.js';
import { apiKeys, issueApiKey } from '../domain/access.js';
import { type KeyRequest, scopesFor } from '../domain/key-request.js';
import { secretHashOf } from '../domain/secret.js';
import { newSecret } from './new-secret.js';
import { SOURCE } from './source.js';

export { type Role, ROLES, type Scope, SCOPES };

export interface NewApiKey extends KeyRequest {
  /** What people call it. */
  readonly name?: string;
}

export interface IssuedApiKey extends Outcome {
  readonly keyId: ApiKeyId;
  readonly scopes: readonly Scope[];
  /** Null where this is a repetition: a secret is shown once and can not be found again. */
  readonly secret: string | null;
}

/** Issues a key for a program or a person. Nobody can give away a right that they lack. */
export class IssueApiKey extends Command<IssuedApiKey> {
  constructor(
    readonly key: NewApiKey,
    /** The scopes of who issues it. */
    readonly issuer: ReadonlySet<Scope>,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(IssueApiKey)
export class IssueApiKeyHandler implements ICommandHandler<IssueApiKey> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ key, issuer, requested }: IssueApiKey): Promise<IssuedApiKey> {
    const { name, role, expiresAt } = key;
    const scopes = scopesFor(key, issuer, this.clock.now());
    // From the receipt, so that a retry issues no second key.
    const keyId = idFrom('key', this.derivation.digest('api-key', requested.receiptId), 8);
    const secret = newSecret();
    const secretHash = secretHashOf(secret, this.derivation);
    const outcome = await this.ledger.transact(
      streamOf('key', keyId),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [step(apiKeys, issueApiKey({ keyId, name, role, scopes, secretHash, expiresAt }))],
      requested,
    );
    const issuedNow = outcome.events.length > 0 && !outcome.replayed;
    return { ...outcome, keyId, scopes, secret: issuedNow ? secret : null };
  }
}
