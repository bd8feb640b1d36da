import { Body, Controller, HttpCode, Param, Post, Put } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Requested } from '#core/kernel/requested.js';
import { type Receipt, Receipts } from '#core/ledger/receipt.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { IfMatch } from '#core/platform/http/preconditions.js';
import { receiptAnswer } from '#core/platform/http/schemas.js';
import { RecordChoices } from '../commands/record-choices.js';
import { SetBasis } from '../commands/set-basis.js';
import { basisExample, interactionExample } from './consents.examples.js';
import { BasisBody, InteractionBody } from './consents.shapes.js';

/** What people declare, and what officers and services record of legal bases. */
@Controller('/v1/subjects/:id')
export class ChoicesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly receipts: Receipts,
  ) {}

  @Post('interactions')
  @HttpCode(201)
  @Requires('choices:write')
  @Idempotent()
  @Operation({
    summary: 'Record all choices of one interaction with a person, or none',
    tag: 'consents',
    example: interactionExample,
    answers: { 201: receiptAnswer },
    problems: {
      404: ['unknown-subject'],
      410: ['subject-erased'],
      422: [
        'unknown-purpose',
        'unknown-topic',
        'unknown-notice-version',
        'contradictory-choices',
        'in-the-future',
      ],
    },
  })
  async record(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Body() body: InteractionBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Receipt> {
    const outcome = await this.commands.execute(new RecordChoices(subjectId, body, requested));
    answer.recorded(outcome);
    return this.receipts.of(outcome, subjectId, requested.receiptId);
  }

  @Put('bases/:purpose')
  @Requires('bases:write')
  @Idempotent()
  @Operation({
    summary: "Set, change or end one of a person's legal bases for a purpose",
    tag: 'consents',
    example: basisExample,
    answers: { 200: receiptAnswer },
    problems: {
      404: ['unknown-subject', 'unknown-purpose'],
      409: ['basis-swap-refused', 'objection-absolute'],
      410: ['subject-erased'],
      422: ['basis-not-allowed', 'status-not-of-basis', 'reference-required', 'grounds-required'],
    },
  })
  async setBasis(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Param('purpose') purpose: string,
    @Body() body: BasisBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Receipt> {
    const outcome = await this.commands.execute(new SetBasis(subjectId, purpose, body, requested));
    answer.recorded(outcome);
    return this.receipts.of(outcome, subjectId, requested.receiptId);
  }
}
