import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { acceptable, defineTopic } from '../domain/catalogue.js';
import { topicViolations } from '../domain/catalogue-rules.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import type { TopicDefinition } from '../domain/purposes.events.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { SOURCE, topicIdOf } from './catalogue-streams.js';

/** Defines a new topic within a purpose. The same again is the same; another one of that key is refused. */
export class DefineTopic extends Command<Outcome> {
  constructor(
    readonly definition: TopicDefinition,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(DefineTopic)
export class DefineTopicHandler implements ICommandHandler<DefineTopic> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ definition, requested }: DefineTopic): Promise<Outcome> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const topicId = topicIdOf(this.digest, definition.key);
    const violations = topicViolations(definition, centre, this.clock.now());
    return this.ledger.transact(
      streamOf('topic', topicId),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [
        step(privacyCentre, acceptable(violations)),
        step(privacyCentre, defineTopic(topicId, definition)),
      ],
      requested,
    );
  }
}
