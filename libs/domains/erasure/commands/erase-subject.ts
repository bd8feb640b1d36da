import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { ownerOf, type StreamName } from '#core/kernel/ids.js';
import { type Clock, instantOf, millisecondsOf } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { CLOCK } from '#core/platform/tokens.js';
import { derivedId } from '#core/vault/derivation.js';
import { type Derivation, KEYS_CACHED_MS, type LookupIndex, type Vault } from '#core/vault/port.js';
import { DERIVATION, LOOKUP_INDEX, VAULT } from '#core/vault/tokens.js';
import { completeErasure, erasure, recordDestruction } from '../domain/erasure.js';

/**
 * What is done about an approved erasure, one step at a time. Each step may be repeated at any time: what
 * was done before is found done.
 */
export class DestroyKeys extends Command<void> {
  constructor(readonly stream: StreamName) {
    super();
  }
}

/** The certificate may be issued once nobody can still have a key, nor an answer from before. */
export class CompleteErasure extends Command<{ readonly completed: boolean }> {
  constructor(readonly stream: StreamName) {
    super();
  }
}

@CommandHandler(DestroyKeys)
export class DestroyKeysHandler implements ICommandHandler<DestroyKeys> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(VAULT) private readonly vault: Vault,
    @Inject(LOOKUP_INDEX) private readonly index: LookupIndex,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ stream }: DestroyKeys): Promise<void> {
    if (fold(erasure, await this.ledger.read(stream)).step !== 'approved') return;
    const owner = ownerOf(stream);
    const destroyed = await this.vault.destroy(owner);
    await this.index.remove(owner);
    const occasion = occasionOf(
      asSystem(this.derivation, 'destroy-keys', stream),
      { source: 'api' },
      this.clock,
    );
    await this.ledger.transact(stream, occasion, [step(erasure, recordDestruction(destroyed))]);
  }
}

@CommandHandler(CompleteErasure)
export class CompleteErasureHandler implements ICommandHandler<CompleteErasure> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ stream }: CompleteErasure): Promise<{ readonly completed: boolean }> {
    const state = fold(erasure, await this.ledger.read(stream));
    if (state.step !== 'destroyed') return { completed: true };
    const cachesEmptyAt = instantOf(millisecondsOf(state.destroyedAt) + KEYS_CACHED_MS);
    if (this.clock.now() < cachesEmptyAt || !(await this.readModels.visible(state.position)))
      return { completed: false };
    const occasion = occasionOf(
      asSystem(this.derivation, 'complete-erasure', stream),
      { source: 'api' },
      this.clock,
    );
    await this.ledger.transact(stream, occasion, [step(erasure, completeErasure())]);
    return { completed: true };
  }
}

/** The ledger's own act; one of each kind on a stream. */
function asSystem(derivation: Derivation, act: string, stream: StreamName): Requested {
  return {
    actor: { kind: 'system', id: 'erasure' },
    receiptId: derivedId(derivation, 'rcp', act, stream),
    correlationId: act,
  };
}
