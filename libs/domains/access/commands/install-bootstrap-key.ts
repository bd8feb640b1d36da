import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { idFrom, streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { occasionOf } from '#core/kernel/requested.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import type { Derivation } from '#core/vault/port.js';
import { DERIVATION } from '#core/vault/tokens.js';
import { SCOPES } from '../domain/access.events.js';
import { apiKeys, issueApiKey } from '../domain/access.js';
import { secretHashOf } from '../domain/secret.js';
import { type BootstrapKey, InstallBootstrapKey } from './install-bootstrap-key.message.js';
import { newSecret } from './new-secret.js';
import { SOURCE } from './source.js';

@CommandHandler(InstallBootstrapKey)
export class InstallBootstrapKeyHandler implements ICommandHandler<InstallBootstrapKey> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ given }: InstallBootstrapKey): Promise<BootstrapKey> {
    // The same id and receipt at every start and in every process: only one can come first.
    const keyId = idFrom('key', this.derivation.digest('bootstrap-key'), 8);
    const receiptId = idFrom('rcp', this.derivation.digest('bootstrap-key', 'receipt'), 8);
    const secret = given ?? newSecret();
    const secretHash = secretHashOf(secret, this.derivation);
    const requested = {
      actor: { kind: 'system', id: 'bootstrap' },
      receiptId,
      correlationId: receiptId,
    } as const;
    const stream = streamOf('key', keyId);
    // Without a role: it stands for whoever sets the ledger up, which is a program as often as a person.
    const key = { keyId, scopes: SCOPES, secretHash };
    const outcome = await this.ledger.transact(
      stream,
      occasionOf(requested, { source: SOURCE }, this.clock),
      [step(apiKeys, issueApiKey(key))],
    );
    if (!outcome.replayed && outcome.events.length > 0)
      return { keyId, state: 'installed', secret: given === undefined ? secret : undefined };
    const known = fold(apiKeys, await this.ledger.read(stream))[keyId];
    if (known?.revokedAt) return { keyId, state: 'revoked' };
    const differs = given !== undefined && known?.secretHash !== secretHash;
    return { keyId, state: differs ? 'other' : 'present' };
  }
}
