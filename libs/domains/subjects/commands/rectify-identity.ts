import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { requireSource } from '#domains/purposes/domain/purposes.vocabulary.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { mustBeRegistered, rectify, subject } from '../domain/subjects.js';

export interface RectificationInput {
  readonly name?: string;
  readonly language?: string;
  readonly source: string;
  readonly occurredAt?: Instant;
  readonly receivedAt?: Instant;
}

/** Puts a person's name or language right (Art. 16). */
export class RectifyIdentity extends Command<Outcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly input: RectificationInput,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RectifyIdentity)
export class RectifyIdentityHandler implements ICommandHandler<RectifyIdentity> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, input, requested }: RectifyIdentity): Promise<Outcome> {
    requireSource(await this.queries.execute(new AskPrivacyCentre()), input.source);
    const { name, language } = input;
    return this.ledger.transact(
      streamOf('subject', subjectId),
      occasionOf(requested, input, this.clock),
      [step(subject, mustBeRegistered()), step(subject, rectify({ name, language }))],
      requested,
    );
  }
}
