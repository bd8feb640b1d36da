import { Inject } from '@nestjs/common';
import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import type { Instant } from '#core/kernel/instant.js';
import type { Vault } from '#core/vault/port.js';
import { VAULT } from '#core/vault/tokens.js';
import { AskKeyEpochs } from './key-epochs.message.js';

@QueryHandler(AskKeyEpochs)
export class AnswerKeyEpochs implements IQueryHandler<AskKeyEpochs> {
  constructor(@Inject(VAULT) private readonly vault: Vault) {}

  async execute(): Promise<ReadonlyMap<number, Instant>> {
    const { closed } = await this.vault.status();
    return new Map(closed.map(({ epoch, closedAt }) => [epoch, closedAt]));
  }
}
