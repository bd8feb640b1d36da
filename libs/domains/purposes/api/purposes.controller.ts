import { Body, Controller, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import { type PageOf, PageQuery } from '#core/platform/http/cursor.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { IfMatch } from '#core/platform/http/preconditions.js';
import { DefinePurpose } from '../commands/define-purpose.js';
import { RetirePurpose } from '../commands/retire-purpose.js';
import { RevisePurpose } from '../commands/revise-purpose.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { AskPurposeHistory, type PurposeRevision } from '../queries/purpose-history.js';
import { purposeView, type PurposeView } from '../views/catalogue.view.js';
import {
  historyExample,
  purposeBody,
  purposeExample,
  purposesExample,
  retiredExample,
} from './catalogue.examples.js';
import { historySchema, purposeSchema, purposesSchema } from './catalogue.schemas.js';
import {
  CatalogueQuery,
  KnownAtQuery,
  PurposeBody,
  purposeFrom,
  PurposeRevisionBody,
  RetirementBody,
} from './catalogue.shapes.js';
import { found, keyOfPath, listed, sortable, spelled } from './listing.js';

/** What data is processed for, and by which rules a basis for it counts. */
@Controller('/v1/purposes')
export class PurposesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'All purposes, by key',
    answers: {
      200: { description: 'A page.', body: purposesSchema, example: purposesExample },
    },
  })
  async list(
    @Query() query: CatalogueQuery,
    @Answering() answer: Answer,
  ): Promise<PageOf<PurposeView>> {
    const centre = await this.queries.execute(new AskPrivacyCentre(query.knownAt));
    const filters = { knownAt: spelled(query.knownAt) };
    const purposes = Object.values(centre.purposes);
    const { data, page } = listed('purposes', filters, query, purposes, ({ key }) => key);
    answer.nextPage(page.next);
    return { data: data.map((purpose) => purposeView(purpose, centre)), page };
  }

  @Post()
  @HttpCode(201)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Define a purpose',
    example: purposeBody,
    answers: {
      200: { description: 'It stood so already.', body: purposeSchema, example: purposeExample },
      201: { description: 'It is defined.', body: purposeSchema, example: purposeExample },
    },
    problems: { 409: ['purpose-exists'], 422: ['unknown-controller', 'reserved-key'] },
  })
  async define(
    @Body() body: PurposeBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<PurposeView> {
    const definition = purposeFrom(body, body.key);
    const outcome = await this.commands.execute(new DefinePurpose(definition, requested));
    if (outcome.events.length === 0) answer.status(200);
    answer.location(`/v1/purposes/${body.key}`);
    return this.answered(body.key, outcome, answer);
  }

  @Get(':key')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'One purpose, now or as the ledger knew it',
    answers: {
      200: { description: 'As it is.', body: purposeSchema, example: purposeExample },
    },
    problems: { 404: ['unknown-purpose'] },
  })
  async show(
    @Param('key') key: string,
    @Query() { knownAt }: KnownAtQuery,
    @Answering() answer: Answer,
  ): Promise<PurposeView> {
    const centre = await this.queries.execute(new AskPrivacyCentre(knownAt));
    const view = purposeView(found(centre.purposes[key], 'purpose'), centre);
    answer.revision(view.revision);
    return view;
  }

  @Put(':key')
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Revise a purpose',
    description:
      'Puts another definition in its place. Consents given before name the revision they were given under.',
    example: purposeBody,
    answers: {
      200: { description: 'It stands so.', body: purposeSchema, example: purposeExample },
    },
    problems: {
      404: ['unknown-purpose'],
      409: ['purpose-retired'],
      422: ['unknown-controller', 'basis-is-default'],
    },
  })
  async revise(
    @Param('key') key: string,
    @Body() body: PurposeRevisionBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<PurposeView> {
    const definition = purposeFrom(body, keyOfPath(key, body.key));
    const outcome = await this.commands.execute(new RevisePurpose(definition, requested));
    return this.answered(key, outcome, answer);
  }

  @Post(':key/retire')
  @HttpCode(200)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Retire a purpose',
    description:
      'From then on nothing is allowed for it. The end may lie ahead; it can be brought forward, never put off.',
    example: { retiredAt: retiredExample.retiredAt },
    answers: {
      200: { description: 'Its end is set.', body: purposeSchema, example: retiredExample },
    },
    problems: { 404: ['unknown-purpose'], 409: ['purpose-retired'] },
  })
  async retire(
    @Param('key') key: string,
    @Body() body: RetirementBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<PurposeView> {
    const command = new RetirePurpose(key, body.retiredAt, requested);
    return this.answered(key, await this.commands.execute(command), answer);
  }

  @Get(':key/revisions')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: "A purpose's history: who changed it when, and to what",
    answers: {
      200: { description: 'The oldest first.', body: historySchema, example: historyExample },
    },
    problems: { 404: ['unknown-purpose'] },
  })
  async revisions(
    @Param('key') key: string,
    @Query() query: PageQuery,
    @Answering() answer: Answer,
  ): Promise<PageOf<PurposeRevision>> {
    const history = await this.queries.execute(new AskPurposeHistory(key));
    const placeOf = ({ revision }: PurposeRevision) => sortable(revision);
    const list = listed('purpose-revisions', { key }, query, history, placeOf);
    answer.nextPage(list.page.next);
    return list;
  }

  private async answered(
    key: string,
    { position }: { position: PurposeView['position'] },
    answer: Answer,
  ): Promise<PurposeView> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const view = purposeView(found(centre.purposes[key], 'purpose'), centre);
    answer.revision(view.revision).position(position);
    return { ...view, position };
  }
}
