import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { type ApiKeyId, streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { apiKeys, revokeApiKey } from '../domain/access.js';
import { SOURCE } from './source.js';

/** Takes a key back: within a second it opens nothing in any process. Again is the same. */
export class RevokeApiKey extends Command<Outcome> {
  constructor(
    readonly keyId: ApiKeyId,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RevokeApiKey)
export class RevokeApiKeyHandler implements ICommandHandler<RevokeApiKey> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ keyId, requested }: RevokeApiKey): Promise<Outcome> {
    return this.ledger.transact(
      streamOf('key', keyId),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [step(apiKeys, revokeApiKey(keyId))],
      requested,
    );
  }
}
