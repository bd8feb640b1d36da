import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { ContactPointId, SubjectId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import type { Requested } from '#core/kernel/requested.js';
import { type Receipt, Receipts } from '#core/ledger/receipt.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import {
  CurrentPrincipal,
  type Principal,
  requireScope,
  Requires,
} from '#core/platform/http/auth.guard.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { ConsistentAt, IfMatch } from '#core/platform/http/preconditions.js';
import { receiptAnswer } from '#core/platform/http/schemas.js';
import { TraceId } from '#core/platform/http/trace.js';
import { AddContactPoint, RemoveContactPoint } from '../commands/change-contact-points.js';
import { RectifyIdentity } from '../commands/rectify-identity.js';
import { RegisterSubject } from '../commands/register-subject.message.js';
import { LiftRestriction, RestrictProcessing } from '../commands/restrict-processing.js';
import { FindSubjects, type SubjectReference } from '../queries/find-subjects.message.js';
import { type SubjectView, ViewSubject } from '../queries/view-subject.js';
import {
  foundExample,
  registrationExample,
  searchExample,
  subjectExample,
} from './subjects.examples.js';
import { foundSchema, subjectSchema } from './subjects.schemas.js';
import { RegistrationBody } from './registration.shapes.js';
import {
  AddContactPointBody,
  IdentityBody,
  RestrictionBody,
  SearchBody,
  SubjectQuery,
} from './subjects.shapes.js';

const aSubject = () => idOf('sub', 'unknown-subject');

/** People: who they are, how to reach them, and where processing is restricted. */
@Controller('/v1/subjects')
export class SubjectsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    private readonly receipts: Receipts,
  ) {}

  @Post()
  @HttpCode(201)
  @Requires('choices:write')
  @Idempotent()
  @Operation({
    summary: 'Register a person',
    tag: 'subjects',
    example: registrationExample,
    answers: { 201: receiptAnswer },
    problems: {
      409: ['already-registered'],
      422: ['unknown-source', 'malformed-email', 'malformed-phone'],
    },
  })
  async register(
    @Body() body: RegistrationBody,
    @CurrentPrincipal() principal: Principal,
    @Asked() requested: Requested,
    @Answering() answer: Answer,
  ): Promise<Receipt> {
    if (body.bases?.length) requireScope(principal, 'bases:write');
    const registered = await this.commands.execute(new RegisterSubject(body, requested));
    answer.location(`/v1/subjects/${registered.subjectId}`);
    answer.recorded(registered);
    return this.receipts.of(registered, registered.subjectId, requested.receiptId);
  }

  @Post('search')
  @HttpCode(200)
  @Requires('subjects:read')
  @Operation({
    summary: 'Find people by an exact contact point or external reference',
    tag: 'subjects',
    example: searchExample,
    answers: {
      200: {
        description: 'Who is meant; nobody, one or several.',
        body: foundSchema,
        example: foundExample,
      },
    },
    problems: { 422: ['malformed-email', 'malformed-phone'] },
  })
  async search(
    @Body() body: SearchBody,
  ): Promise<{ subjects: readonly { subjectId: SubjectId }[] }> {
    const [found] = await this.queries.execute(new FindSubjects([body as SubjectReference]));
    return { subjects: (found ?? []).map((subjectId) => ({ subjectId })) };
  }

  @Get(':id')
  @Requires('subjects:read')
  @Operation({
    summary: 'A person, now or as of any day',
    tag: 'subjects',
    answers: {
      200: {
        description: 'The person; values are masked unless revealed.',
        body: subjectSchema,
        example: subjectExample,
      },
    },
    problems: { 404: ['unknown-subject'] },
  })
  async view(
    @Param('id', aSubject()) subjectId: SubjectId,
    @Query() query: SubjectQuery,
    @CurrentPrincipal() principal: Principal,
    @ConsistentAt() _: Position | undefined,
    @TraceId() correlationId: string,
    @Answering() answer: Answer,
  ): Promise<SubjectView> {
    if (query.reveal) requireScope(principal, 'subjects:reveal');
    const actor = { kind: principal.kind, id: principal.id };
    const behindErasure = principal.scopes.has('evidence:read');
    const view = await this.queries.execute(
      new ViewSubject(subjectId, query, { actor, correlationId, behindErasure }),
    );
    answer.revision(view.revision);
    return view;
  }

  @Post(':id/contact-points')
  @HttpCode(201)
  @Requires('choices:write')
  @Idempotent()
  @Operation({
    summary: 'Add a way to reach a person',
    tag: 'subjects',
    example: { kind: 'email', value: 'anna@example.com' },
    answers: { 201: receiptAnswer },
    problems: { 404: ['unknown-subject'], 410: ['subject-erased'] },
  })
  async addContactPoint(
    @Param('id', aSubject()) subjectId: SubjectId,
    @Body() body: AddContactPointBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Receipt & { contactPointId: ContactPointId }> {
    const added = await this.commands.execute(new AddContactPoint(subjectId, body, requested));
    const { contactPointId } = added;
    answer.location(`/v1/subjects/${subjectId}/contact-points/${contactPointId}`);
    answer.recorded(added);
    const receipt = await this.receipts.of(added, subjectId, requested.receiptId);
    return { ...receipt, contactPointId };
  }

  @Delete(':id/contact-points/:contactPointId')
  @HttpCode(204)
  @Requires('choices:write')
  @Idempotent()
  @Operation({
    summary: 'Remove a way to reach a person, and forget it',
    tag: 'subjects',
    answers: { 204: { description: 'Removed.' } },
    problems: { 404: ['unknown-subject', 'unknown-contact-point'], 410: ['subject-erased'] },
  })
  async removeContactPoint(
    @Param('id', aSubject()) subjectId: SubjectId,
    @Param('contactPointId', idOf('cpt', 'unknown-contact-point')) contactPointId: ContactPointId,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<void> {
    const outcome = await this.commands.execute(
      new RemoveContactPoint(subjectId, contactPointId, requested),
    );
    answer.revision(outcome.revision).position(outcome.position);
  }

  @Patch(':id/identity')
  @Requires('choices:write')
  @Idempotent()
  @Operation({
    summary: 'Put name or language right (Art. 16)',
    tag: 'subjects',
    example: { name: 'Anna Beispiel', language: 'de' },
    answers: { 200: receiptAnswer },
    problems: { 404: ['unknown-subject'], 410: ['subject-erased'] },
  })
  async rectify(
    @Param('id', aSubject()) subjectId: SubjectId,
    @Body() body: IdentityBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Receipt> {
    const outcome = await this.commands.execute(new RectifyIdentity(subjectId, body, requested));
    answer.recorded(outcome);
    return this.receipts.of(outcome, subjectId, requested.receiptId);
  }

  @Post(':id/restriction')
  @HttpCode(201)
  @Requires('bases:write')
  @Idempotent()
  @Operation({
    summary: 'Restrict processing (Art. 18)',
    tag: 'subjects',
    example: { ground: 'accuracy-contested' },
    answers: { 201: receiptAnswer },
    problems: { 404: ['unknown-subject'], 410: ['subject-erased'] },
  })
  async restrict(
    @Param('id', aSubject()) subjectId: SubjectId,
    @Body() body: RestrictionBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Receipt> {
    const outcome = await this.commands.execute(new RestrictProcessing(subjectId, body, requested));
    answer.recorded(outcome);
    return this.receipts.of(outcome, subjectId, requested.receiptId);
  }

  @Delete(':id/restriction')
  @HttpCode(204)
  @Requires('bases:write')
  @Idempotent()
  @Operation({
    summary: 'Lift all restrictions (Art. 18(3))',
    tag: 'subjects',
    answers: { 204: { description: 'Lifted.' } },
    problems: { 404: ['unknown-subject'], 409: ['not-restricted'], 410: ['subject-erased'] },
  })
  async lift(
    @Param('id', aSubject()) subjectId: SubjectId,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<void> {
    const outcome = await this.commands.execute(new LiftRestriction(subjectId, requested));
    answer.revision(outcome.revision).position(outcome.position);
  }
}
