import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { streamOf } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { retirePurpose } from '../domain/catalogue.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import { purposeIdOf, SOURCE } from './catalogue-streams.js';

/** Ends a purpose: from then on nothing may be done for it. The end may lie ahead. */
export class RetirePurpose extends Command<Outcome> {
  constructor(
    readonly key: string,
    /** Absent: now. */
    readonly retiredAt: Instant | undefined,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RetirePurpose)
export class RetirePurposeHandler implements ICommandHandler<RetirePurpose> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ key, retiredAt, requested }: RetirePurpose): Promise<Outcome> {
    return this.ledger.transact(
      streamOf('purpose', purposeIdOf(this.digest, key)),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [step(privacyCentre, retirePurpose(key, retiredAt, this.clock.now()))],
      requested,
    );
  }
}
