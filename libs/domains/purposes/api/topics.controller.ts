import { Body, Controller, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import type { PageOf } from '#core/platform/http/cursor.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { IfMatch } from '#core/platform/http/preconditions.js';
import { DefineTopic } from '../commands/define-topic.js';
import { RetireTopic } from '../commands/retire-topic.js';
import { ReviseTopic } from '../commands/revise-topic.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { topicView, type TopicView } from '../views/catalogue.view.js';
import {
  retiredTopicExample,
  topicBody,
  topicExample,
  topicsExample,
} from './catalogue.examples.js';
import { topicSchema, topicsSchema } from './catalogue.schemas.js';
import {
  KnownAtQuery,
  RetirementBody,
  TopicBody,
  topicFrom,
  TopicRevisionBody,
  TopicsQuery,
} from './catalogue.shapes.js';
import { found, keyOfPath, listed, spelled } from './listing.js';

/** What people can subscribe to, each within a purpose. */
@Controller('/v1/topics')
export class TopicsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'All topics, by key',
    answers: { 200: { description: 'A page.', body: topicsSchema, example: topicsExample } },
  })
  async list(@Query() query: TopicsQuery, @Answering() answer: Answer): Promise<PageOf<TopicView>> {
    const centre = await this.queries.execute(new AskPrivacyCentre(query.knownAt));
    const { purpose } = query;
    const topics = Object.values(centre.topics).filter(
      (topic) => purpose === undefined || topic.purpose === purpose,
    );
    const filters = { purpose, knownAt: spelled(query.knownAt) };
    const { data, page } = listed('topics', filters, query, topics, ({ key }) => key);
    answer.nextPage(page.next);
    return { data: data.map((topic) => topicView(topic, centre)), page };
  }

  @Post()
  @HttpCode(201)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Define a topic',
    example: topicBody,
    answers: {
      200: { description: 'It stood so already.', body: topicSchema, example: topicExample },
      201: { description: 'It is defined.', body: topicSchema, example: topicExample },
    },
    problems: { 409: ['topic-exists'], 422: ['unknown-purpose', 'purpose-retired'] },
  })
  async define(
    @Body() body: TopicBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<TopicView> {
    const definition = topicFrom(body, body.key);
    const outcome = await this.commands.execute(new DefineTopic(definition, requested));
    if (outcome.events.length === 0) answer.status(200);
    answer.location(`/v1/topics/${body.key}`);
    return this.answered(body.key, outcome, answer);
  }

  @Get(':key')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'One topic, now or as the ledger knew it',
    answers: { 200: { description: 'As it is.', body: topicSchema, example: topicExample } },
    problems: { 404: ['unknown-topic'] },
  })
  async show(
    @Param('key') key: string,
    @Query() { knownAt }: KnownAtQuery,
    @Answering() answer: Answer,
  ): Promise<TopicView> {
    const centre = await this.queries.execute(new AskPrivacyCentre(knownAt));
    const view = topicView(found(centre.topics[key], 'topic'), centre);
    answer.revision(view.revision);
    return view;
  }

  @Put(':key')
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Revise a topic',
    description: 'Puts another definition in its place. A topic stays with its purpose.',
    example: topicBody,
    answers: { 200: { description: 'It stands so.', body: topicSchema, example: topicExample } },
    problems: { 404: ['unknown-topic'], 409: ['topic-retired', 'topic-moved'] },
  })
  async revise(
    @Param('key') key: string,
    @Body() body: TopicRevisionBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<TopicView> {
    const definition = topicFrom(body, keyOfPath(key, body.key));
    const outcome = await this.commands.execute(new ReviseTopic(definition, requested));
    return this.answered(key, outcome, answer);
  }

  @Post(':key/retire')
  @HttpCode(200)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Retire a topic',
    description:
      'From then on nobody receives it. The end may lie ahead; it can be brought forward, never put off.',
    example: { retiredAt: retiredTopicExample.retiredAt },
    answers: {
      200: { description: 'Its end is set.', body: topicSchema, example: retiredTopicExample },
    },
    problems: { 404: ['unknown-topic'], 409: ['topic-retired'] },
  })
  async retire(
    @Param('key') key: string,
    @Body() body: RetirementBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<TopicView> {
    const command = new RetireTopic(key, body.retiredAt, requested);
    return this.answered(key, await this.commands.execute(command), answer);
  }

  private async answered(
    key: string,
    { position }: { position: TopicView['position'] },
    answer: Answer,
  ): Promise<TopicView> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const view = topicView(found(centre.topics[key], 'topic'), centre);
    answer.revision(view.revision).position(position);
    return { ...view, position };
  }
}
