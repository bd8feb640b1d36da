import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { newId, streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf } from '#core/kernel/requested.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { looks, recordLook } from '../domain/access.js';
import { RecordLook } from './record-look.message.js';
import { SOURCE } from './source.js';

/** The durable record of a look. Returns when it can no longer be lost. */
@CommandHandler(RecordLook)
export class RecordLookHandler implements ICommandHandler<RecordLook> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ look, reader }: RecordLook): Promise<void> {
    const receiptId = newId('rcp');
    const occasion = occasionOf({ ...reader, receiptId }, { source: SOURCE }, this.clock);
    // A stream of its own for every look: nobody waits for anybody else's, however many processes there
    // are, and nothing is read before the one event is appended.
    const day = occasion.occurredAt.slice(0, 10);
    const stream = streamOf('access', `${day}-${receiptId.slice('rcp_'.length)}`);
    await this.ledger.transact(stream, occasion, [step(looks, recordLook(look))]);
  }
}
