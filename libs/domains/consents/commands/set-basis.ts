import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { type StreamName, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { CLOCK } from '#core/platform/tokens.js';
import type { LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import { requireSource } from '#domains/purposes/domain/purposes.vocabulary.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { mustBeRegistered, subject } from '#domains/subjects/domain/subjects.js';
import { swapRefused } from '../domain/choices.js';
import { type PersonFacts, personFacts } from '../domain/facts.js';
import type { BasisStatus } from '../domain/consents.vocabulary.js';
import { stateBasis } from '../domain/legal-basis.js';

export interface BasisStatementInput {
  readonly basis: LegalBasis;
  readonly status: BasisStatus;
  readonly source: string;
  readonly occurredAt?: Instant;
  readonly receivedAt?: Instant;
  readonly reference?: string;
  readonly assessment?: string;
  readonly validUntil?: Instant;
  readonly comment?: string;
}

/** Sets, changes or ends one legal basis of a person for a purpose. */
export class SetBasis extends Command<Outcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly purpose: string,
    readonly input: BasisStatementInput,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(SetBasis)
export class SetBasisHandler implements ICommandHandler<SetBasis> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, purpose: key, input, requested }: SetBasis): Promise<Outcome> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const purpose = centre.purposes[key];
    if (!purpose) throw new Refused('not-found', 'unknown-purpose', 'there is no such purpose');
    requireSource(centre, input.source);
    const occasion = occasionOf(requested, input, this.clock);
    const stream = streamOf('subject', subjectId);
    const { comment, ...said } = input;
    const at = occasion.occurredAt;
    // Inside the step: a repetition of what was recorded before is answered first, whatever changed since.
    const decide = (state: PersonFacts) =>
      stateBasis({ ...said, purpose, at, testimony: { comment } })(state);
    const outcome = await this.ledger.transact(
      stream,
      occasion,
      [step(subject, mustBeRegistered()), step(personFacts, decide)],
      requested,
    );
    if (await this.refusedSwap(outcome, stream, { purpose: key, basis: input.basis, at }))
      throw new Refused(
        'conflict',
        'basis-swap-refused',
        'consent was asked of this person for this purpose; no other basis can take its place',
        { evidence: { revision: outcome.revision } },
      );
    return outcome;
  }

  /** Whether the attempt was recorded as refused: by this call, by the one it repeats, or by an equal one. */
  private async refusedSwap(
    { events }: Outcome,
    stream: StreamName,
    attempt: Parameters<typeof swapRefused>[1],
  ): Promise<boolean> {
    if (events.length > 0) return events.some(({ type }) => type === 'BasisSwapRefused');
    return swapRefused(fold(personFacts, await this.ledger.read(stream)), attempt);
  }
}
