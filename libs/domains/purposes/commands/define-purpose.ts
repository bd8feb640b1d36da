import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { acceptable, definePurpose } from '../domain/catalogue.js';
import { purposeViolations } from '../domain/catalogue-rules.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import type { PurposeDefinition } from '../domain/purposes.events.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { purposeIdOf, SOURCE } from './catalogue-streams.js';

/** Specifies a new purpose of processing. The same again is the same; another one of that key is refused. */
export class DefinePurpose extends Command<Outcome> {
  constructor(
    readonly definition: PurposeDefinition,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(DefinePurpose)
export class DefinePurposeHandler implements ICommandHandler<DefinePurpose> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ definition, requested }: DefinePurpose): Promise<Outcome> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const purposeId = purposeIdOf(this.digest, definition.key);
    return this.ledger.transact(
      streamOf('purpose', purposeId),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [
        step(privacyCentre, acceptable(purposeViolations(definition, centre))),
        step(privacyCentre, definePurpose(purposeId, definition)),
      ],
      requested,
    );
  }
}
