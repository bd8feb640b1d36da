import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { streamOf } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { retireTopic } from '../domain/catalogue.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import { SOURCE, topicIdOf } from './catalogue-streams.js';

/** Ends a topic: from then on nobody receives it. The end may lie ahead. */
export class RetireTopic extends Command<Outcome> {
  constructor(
    readonly key: string,
    /** Absent: now. */
    readonly retiredAt: Instant | undefined,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RetireTopic)
export class RetireTopicHandler implements ICommandHandler<RetireTopic> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ key, retiredAt, requested }: RetireTopic): Promise<Outcome> {
    return this.ledger.transact(
      streamOf('topic', topicIdOf(this.digest, key)),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [step(privacyCentre, retireTopic(key, retiredAt, this.clock.now()))],
      requested,
    );
  }
}
