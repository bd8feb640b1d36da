import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import { type OperationId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import { occasionOf, type Requested, sourceOf } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { derivedId } from '#core/vault/derivation.js';
import type { Derivation } from '#core/vault/port.js';
import { DERIVATION } from '#core/vault/tokens.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { subject } from '#domains/subjects/domain/subjects.js';
import {
  approveErasure,
  type Erasure,
  erasure,
  refuseErasure,
  requestErasure,
} from '../domain/erasure.js';
import type { ErasureGround, RefusalReason } from '../domain/erasure.events.js';

export interface ErasureOutcome extends Outcome {
  readonly erasure: Exclude<Erasure, { step: 'none' }>;
}

/** A person's wish to be forgotten; approved at once where the caller may approve. */
export class RequestErasure extends Command<ErasureOutcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly input: {
      readonly ground: ErasureGround;
      readonly note?: string;
      readonly receivedAt?: Instant;
    },
    readonly mayApprove: boolean,
    readonly requested: Requested,
  ) {
    super();
  }
}

export class ApproveErasure extends Command<ErasureOutcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly requested: Requested,
  ) {
    super();
  }
}

export class RefuseErasure extends Command<ErasureOutcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly input: { readonly reason: RefusalReason; readonly note?: string },
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RequestErasure)
export class RequestErasureHandler implements ICommandHandler<RequestErasure> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({
    subjectId,
    input,
    mayApprove,
    requested,
  }: RequestErasure): Promise<ErasureOutcome> {
    const { ground, note } = input;
    const dutiesToRetain = await this.dutiesToRetain(subjectId);
    const operationId: OperationId = derivedId(
      this.derivation,
      'op',
      'operation',
      requested.receiptId,
    );
    const request = { operationId, ground, note, dutiesToRetain, approved: mayApprove };
    const said = { source: sourceOf(requested.actor), receivedAt: input.receivedAt };
    const occasion = occasionOf(requested, said, this.clock);
    const outcome = await this.ledger.transact(
      streamOf('subject', subjectId),
      occasion,
      [step(erasure, requestErasure(request))],
      requested,
    );
    return { ...outcome, erasure: await erasureOf(this.ledger, subjectId) };
  }

  /** Purposes for which a law obliges to keep this person's data now (Art. 17(3)(b)). */
  private async dutiesToRetain(subjectId: SubjectId): Promise<string[]> {
    const history = await historyOf(this.ledger, subjectId);
    const now = this.clock.now();
    return Object.entries(fold(personFacts, history).purposes)
      .filter(([, { bases }]) => {
        const last = bases
          .filter(({ basis, at }) => basis === 'legal-obligation' && at <= now)
          .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
          .at(-1);
        return last?.kind === 'set' && (last.validUntil === undefined || now < last.validUntil);
      })
      .map(([purpose]) => purpose);
  }
}

@CommandHandler(ApproveErasure)
export class ApproveErasureHandler implements ICommandHandler<ApproveErasure> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, requested }: ApproveErasure): Promise<ErasureOutcome> {
    await historyOf(this.ledger, subjectId);
    const outcome = await this.ledger.transact(
      streamOf('subject', subjectId),
      occasionOf(requested, { source: sourceOf(requested.actor) }, this.clock),
      [step(erasure, approveErasure())],
      requested,
    );
    return { ...outcome, erasure: await erasureOf(this.ledger, subjectId) };
  }
}

@CommandHandler(RefuseErasure)
export class RefuseErasureHandler implements ICommandHandler<RefuseErasure> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, input, requested }: RefuseErasure): Promise<ErasureOutcome> {
    await historyOf(this.ledger, subjectId);
    const outcome = await this.ledger.transact(
      streamOf('subject', subjectId),
      occasionOf(requested, { source: sourceOf(requested.actor) }, this.clock),
      [step(erasure, refuseErasure(input.reason, input.note))],
      requested,
    );
    return { ...outcome, erasure: await erasureOf(this.ledger, subjectId) };
  }
}

/** All that is on record of a person; refused where there is none. */
async function historyOf(ledger: Ledger, subjectId: SubjectId): Promise<readonly Recorded[]> {
  const history = await ledger.read(streamOf('subject', subjectId));
  if (fold(subject, history).registered) return history;
  throw new Refused('not-found', 'unknown-subject', 'there is no such person');
}

async function erasureOf(ledger: Ledger, subjectId: SubjectId): Promise<ErasureOutcome['erasure']> {
  const state = fold(erasure, await ledger.read(streamOf('subject', subjectId)));
  if (state.step === 'none')
    throw new Error(`${subjectId}: the erasure just recorded is not there`);
  return state;
}
