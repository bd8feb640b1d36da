import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { OperationId, SubjectId } from '#core/kernel/ids.js';
import { Refused } from '#core/kernel/refused.js';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { CurrentPrincipal, type Principal, Requires } from '#core/platform/http/auth.guard.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { IfMatch } from '#core/platform/http/preconditions.js';
import {
  ApproveErasure,
  type ErasureOutcome,
  RefuseErasure,
  RequestErasure,
} from '../commands/request-erasure.js';
import { AskOperation } from '../queries/operation.js';
import { type OperationView, operationView } from '../views/operation.view.js';
import { operationAnswer } from './erasure.schemas.js';
import { ErasureBody, RefusalBody } from './erasure.shapes.js';

/** The right to be forgotten (Art. 17). */
@Controller('/v1')
export class ErasureController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('subjects/:id/erasure')
  @HttpCode(202)
  @Requires('choices:write', 'erasure:approve')
  @Idempotent()
  @Operation({
    summary: 'Ask that a person be forgotten',
    tag: 'erasure',
    example: { ground: 'consent-withdrawn' },
    answers: {
      202: operationAnswer,
      200: { ...operationAnswer, description: 'It is under way, or done.' },
    },
    problems: { 404: ['unknown-subject'] },
  })
  async request(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Body() body: ErasureBody,
    @CurrentPrincipal() principal: Principal,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<OperationView> {
    const mayApprove = principal.scopes.has('erasure:approve');
    const outcome = await this.commands.execute(
      new RequestErasure(subjectId, body, mayApprove, requested),
    );
    // Nothing new was decided: the erasure that is under way, or done, stands.
    if (outcome.events.length === 0) answer.status(200);
    return this.began(subjectId, outcome, answer);
  }

  @Post('subjects/:id/erasure/approve')
  @HttpCode(202)
  @Requires('erasure:approve')
  @Idempotent()
  @Operation({
    summary: 'Approve an erasure that waits',
    tag: 'erasure',
    answers: { 202: operationAnswer },
    problems: { 409: ['no-erasure-requested'] },
  })
  async approve(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<OperationView> {
    const outcome = await this.commands.execute(new ApproveErasure(subjectId, requested));
    if (outcome.events.length === 0) answer.status(200);
    return this.began(subjectId, outcome, answer);
  }

  @Post('subjects/:id/erasure/refuse')
  @HttpCode(200)
  @Requires('erasure:approve')
  @Idempotent()
  @Operation({
    summary: 'Refuse an erasure, with a reason of Art. 17(3)',
    tag: 'erasure',
    example: { reason: 'legal-claims' },
    answers: { 200: operationAnswer },
    problems: { 409: ['no-erasure-requested', 'erasure-approved'] },
  })
  async refuse(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Body() body: RefusalBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<OperationView> {
    const outcome = await this.commands.execute(new RefuseErasure(subjectId, body, requested));
    return this.began(subjectId, outcome, answer);
  }

  @Get('operations/:id')
  @Requires('subjects:read', 'choices:write', 'erasure:approve')
  @Operation({
    summary: 'How far long work has come',
    tag: 'erasure',
    answers: { 200: operationAnswer },
    problems: { 404: ['unknown-operation'] },
  })
  async operation(
    @Param('id', idOf('op', 'unknown-operation')) operationId: OperationId,
  ): Promise<OperationView> {
    return this.viewOf(operationId);
  }

  private async began(
    subjectId: SubjectId,
    { erasure: { operationId }, revision, position }: ErasureOutcome,
    answer: Answer,
  ): Promise<OperationView> {
    answer.location(`/v1/operations/${operationId}`).revision(revision).position(position);
    return this.viewOf(operationId, subjectId);
  }

  private async viewOf(operationId: OperationId, subjectId?: SubjectId): Promise<OperationView> {
    const view = operationView(
      await this.queries.execute(new AskOperation(operationId, subjectId)),
    );
    if (!view) throw new Refused('not-found', 'unknown-operation', 'there is no such operation');
    return view;
  }
}
