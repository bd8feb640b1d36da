import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { invalid } from '#core/kernel/refused.js';
import { occasionOf, type Requested, sourceOf } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import type { RestrictionGround } from '../domain/subjects.events.js';
import { liftRestriction, mustBeRegistered, restrict, subject } from '../domain/subjects.js';

export interface RestrictionInput {
  readonly ground: RestrictionGround;
  readonly purposes?: readonly string[];
  readonly note?: string;
}

/** Restricts the processing of a person's data, wholly or for some purposes (Art. 18(1)). */
export class RestrictProcessing extends Command<Outcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly input: RestrictionInput,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RestrictProcessing)
export class RestrictProcessingHandler implements ICommandHandler<RestrictProcessing> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, input, requested }: RestrictProcessing): Promise<Outcome> {
    const { purposes } = await this.queries.execute(new AskPrivacyCentre());
    const unknown = (input.purposes ?? []).flatMap((key, n) =>
      purposes[key]
        ? []
        : [
            {
              pointer: `/purposes/${n}`,
              code: 'unknown-purpose',
              detail: 'there is no such purpose',
            },
          ],
    );
    const [first, ...more] = unknown;
    if (first) throw invalid(first, ...more);
    const occasion = occasionOf(requested, { source: sourceOf(requested.actor) }, this.clock);
    const decide = restrict({ ...input, at: occasion.occurredAt });
    return this.ledger.transact(
      streamOf('subject', subjectId),
      occasion,
      [step(subject, mustBeRegistered()), step(subject, decide)],
      requested,
    );
  }
}

/** Lifts every restriction of the person's processing (Art. 18(3)). */
export class LiftRestriction extends Command<Outcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(LiftRestriction)
export class LiftRestrictionHandler implements ICommandHandler<LiftRestriction> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  execute({ subjectId, requested }: LiftRestriction): Promise<Outcome> {
    return this.ledger.transact(
      streamOf('subject', subjectId),
      occasionOf(requested, { source: sourceOf(requested.actor) }, this.clock),
      [step(subject, mustBeRegistered()), step(subject, liftRestriction())],
      requested,
    );
  }
}
