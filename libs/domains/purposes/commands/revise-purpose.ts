import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { acceptable, mustBeKnown, revisePurpose } from '../domain/catalogue.js';
import { purposeViolations } from '../domain/catalogue-rules.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import type { PurposeDefinition } from '../domain/purposes.events.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { purposeIdOf, SOURCE } from './catalogue-streams.js';

/** Changes texts or rules of a purpose. Consents given before keep naming the revision they were given under. */
export class RevisePurpose extends Command<Outcome> {
  constructor(
    readonly definition: PurposeDefinition,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RevisePurpose)
export class RevisePurposeHandler implements ICommandHandler<RevisePurpose> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ definition, requested }: RevisePurpose): Promise<Outcome> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    return this.ledger.transact(
      streamOf('purpose', purposeIdOf(this.digest, definition.key)),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [
        step(privacyCentre, mustBeKnown('purposes', definition.key)),
        step(privacyCentre, acceptable(purposeViolations(definition, centre))),
        step(privacyCentre, revisePurpose(definition)),
      ],
      requested,
    );
  }
}
