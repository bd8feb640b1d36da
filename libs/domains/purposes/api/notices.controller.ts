import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { NoticeId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import type { PageOf } from '#core/platform/http/cursor.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { IfMatch } from '#core/platform/http/preconditions.js';
import { PublishNotice } from '../commands/publish-notice.js';
import { AskPrivacyCentre, type Notice } from '../queries/privacy-centre.message.js';
import { noticeView, type NoticeView, wordsView, type WordsView } from '../views/catalogue.view.js';
import {
  noticeBody,
  noticeExample,
  noticesExample,
  publishedExample,
  wordsExample,
} from './catalogue.examples.js';
import { noticeSchema, noticesSchema, publishedSchema, wordsSchema } from './catalogue.schemas.js';
import { KnownAtQuery, NoticeBody, noticeFrom, NoticesQuery } from './catalogue.shapes.js';
import { found, listed, sortable, spelled } from './listing.js';

/** The words that people are shown: published once, in one language, and never changed. */
@Controller('/v1/notices')
export class NoticesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'Published notices, by purpose, kind, version and language',
    answers: { 200: { description: 'A page.', body: noticesSchema, example: noticesExample } },
  })
  async list(@Query() query: NoticesQuery, @Answering() answer: Answer): Promise<PageOf<Notice>> {
    const { notices } = await this.queries.execute(new AskPrivacyCentre(query.knownAt));
    const { purpose, kind, language } = query;
    const asked = notices.filter(
      (notice) =>
        (purpose === undefined || notice.purpose === purpose) &&
        (kind === undefined || notice.kind === kind) &&
        (language === undefined || notice.language === language),
    );
    const filters = { purpose, kind, language, knownAt: spelled(query.knownAt) };
    const list = listed('notices', filters, query, asked, placeOf);
    answer.nextPage(list.page.next);
    return list;
  }

  @Post()
  @HttpCode(201)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Publish a notice in one language',
    example: noticeBody,
    answers: {
      200: {
        description: 'It was published so already.',
        body: publishedSchema,
        example: publishedExample,
      },
      201: { description: 'It is published.', body: publishedSchema, example: publishedExample },
    },
    problems: { 409: ['notice-immutable'], 422: ['unknown-purpose'] },
  })
  async publish(
    @Body() body: NoticeBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Notice & { revision: number; position: Position }> {
    const words = noticeFrom(body);
    const outcome = await this.commands.execute(new PublishNotice(words, requested));
    const { noticeId, position } = outcome;
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const { revision } = found(noticeView(noticeId, centre), 'notice');
    const published = centre.notices.find(
      (notice) =>
        notice.noticeId === noticeId &&
        notice.version === words.version &&
        notice.language === words.language,
    );
    if (outcome.events.length === 0) answer.status(200);
    answer.location(`/v1/notices/${noticeId}`).revision(revision).position(position);
    return { ...found(published, 'notice'), revision, position };
  }

  @Get('by-hash/:hash')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'The words that a hash stands for, and where they were published',
    answers: { 200: { description: 'The words.', body: wordsSchema, example: wordsExample } },
    problems: { 404: ['unknown-notice'] },
  })
  async byHash(@Param('hash') hash: string): Promise<WordsView> {
    return found(wordsView(hash, await this.queries.execute(new AskPrivacyCentre())), 'notice');
  }

  @Get(':id')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'One notice with all its versions',
    answers: { 200: { description: 'As it is.', body: noticeSchema, example: noticeExample } },
    problems: { 404: ['unknown-notice'] },
  })
  async show(
    @Param('id', idOf('ntc', 'unknown-notice')) id: NoticeId,
    @Query() { knownAt }: KnownAtQuery,
    @Answering() answer: Answer,
  ): Promise<NoticeView> {
    const centre = await this.queries.execute(new AskPrivacyCentre(knownAt));
    const view = found(noticeView(id, centre), 'notice');
    answer.revision(view.revision);
    return view;
  }
}

/** The organisation's own notices come first. */
function placeOf({ purpose = '', kind, version, language }: Notice): string {
  return [purpose, kind, sortable(version), language].join(' ');
}
