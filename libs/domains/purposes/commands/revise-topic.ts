import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { acceptable, mustBeKnown, reviseTopic } from '../domain/catalogue.js';
import { topicViolations } from '../domain/catalogue-rules.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import type { TopicDefinition } from '../domain/purposes.events.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { SOURCE, topicIdOf } from './catalogue-streams.js';

/** Changes a topic's texts, or what holds for people who never chose. It stays with its purpose. */
export class ReviseTopic extends Command<Outcome> {
  constructor(
    readonly definition: TopicDefinition,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(ReviseTopic)
export class ReviseTopicHandler implements ICommandHandler<ReviseTopic> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ definition, requested }: ReviseTopic): Promise<Outcome> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const violations = topicViolations(definition, centre, this.clock.now());
    return this.ledger.transact(
      streamOf('topic', topicIdOf(this.digest, definition.key)),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [
        step(privacyCentre, mustBeKnown('topics', definition.key)),
        step(privacyCentre, acceptable(violations)),
        step(privacyCentre, reviseTopic(definition)),
      ],
      requested,
    );
  }
}
