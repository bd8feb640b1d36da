import { Controller, Get, Inject, Query, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply } from 'fastify';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { CurrentPrincipal, type Principal, Requires } from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { unreadableParameter } from '#core/platform/http/request-refused.js';
import {
  LastEventId,
  sendEvents,
  sendNdjson,
  type ServerEvent,
} from '#core/platform/http/streaming.js';
import { EVENT_CATALOGUE } from '../queries/audit.tokens.js';
import { FeedEvents } from '../queries/feed-events.js';
import { FollowEvents, type News } from '../queries/follow-events.js';
import { envelopeExample } from './audit.examples.js';
import { envelopeSchema } from './audit.schemas.js';
import { FeedQuery, FollowQuery } from './audit.shapes.js';

/** The log for programs: read to its end, or followed as it grows. */
@Controller('/v1/events')
export class EventsController {
  constructor(
    private readonly queries: QueryBus,
    @Inject(EVENT_CATALOGUE) private readonly catalogue: EventCatalogue,
  ) {}

  @Get()
  @Requires('events:read')
  @Operation({
    summary: 'Every event after a position, as NDJSON',
    description:
      'One line of JSON for every envelope after `after` (exclusive), up to where the log ends when the call comes ' +
      'in, without a limit. A line is the envelope exactly as it is stored, and its `position`; personal fields stay ' +
      'sealed. To go on, ask again with the last position that was read. A connection that breaks off before its ' +
      'end is an answer that is not whole. Events of keys, users and looks (categories `key`, `user` and `access`) ' +
      'are shown to callers who also have `audit:read`, and left out for all others.',
    answers: {
      200: {
        description: 'The events in order.',
        ndjson: envelopeSchema,
        example: envelopeExample,
        headers: { 'Consistency-Token': 'For where the log ended when the call came in.' },
      },
    },
    problems: { 400: ['malformed-position', 'position-beyond-head'] },
  })
  async read(
    @Query() { after = START, category }: FeedQuery,
    @CurrentPrincipal() principal: Principal,
    @Res() reply: FastifyReply,
    @Answering() answer: Answer,
  ): Promise<void> {
    const feed = await this.queries.execute(new FeedEvents(after, category, hiddenFrom(principal)));
    mustBeReached(after, feed.head, 'after');
    answer.position(feed.head);
    await sendNdjson(reply, () => feed.lines());
  }

  @Get('stream')
  @Requires('events:read')
  @Operation({
    summary: 'Every event after a position and as it is recorded, as server-sent events',
    description:
      'Server-sent events for ever: `id` is the position, `event` the type, `data` the envelope as it is stored, ' +
      'with its position; personal fields stay sealed. Begins after `Last-Event-ID`, else after `after`, else with ' +
      'the first event of the log. Once, when everything recorded before the call was sent, an event `caught-up` ' +
      'comes. A comment is sent every 15 s. The stream ends within seconds of its key. `types` and `subject` leave ' +
      'out all other events; those of keys, users and looks (categories `key`, `user` and `access`) are left out ' +
      'where the caller lacks `audit:read`.',
    answers: {
      200: {
        description: 'A stream without an end.',
        events: envelopeSchema,
        example:
          `id: ${envelopeExample.position}\nevent: ${envelopeExample.type}\n` +
          `data: ${JSON.stringify(envelopeExample)}\n\n` +
          `id: ${envelopeExample.position}\nevent: caught-up\n` +
          `data: {"position":"${envelopeExample.position}"}\n\n`,
      },
    },
    problems: {
      400: [
        'malformed-position',
        'last-event-id-malformed',
        'position-beyond-head',
        'unknown-event-type',
      ],
    },
  })
  async follow(
    @Query() query: FollowQuery,
    @CurrentPrincipal() principal: Principal,
    @LastEventId() lastEventId: Position | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const after = lastEventId ?? query.after ?? START;
    const wanted = {
      types: this.typesOf(query),
      subjectId: query.subject,
      hidden: hiddenFrom(principal),
    };
    const { head, news } = await this.queries.execute(new FollowEvents(after, wanted));
    mustBeReached(after, head, lastEventId === undefined ? 'after' : 'Last-Event-ID');
    await sendEvents(reply, async function* (signal) {
      for await (const some of news(signal)) yield some.map(serverEvent);
    });
  }

  /** A type that does not exist would be waited for in vain. */
  private typesOf({ types }: FollowQuery): readonly string[] | undefined {
    const names = types?.flatMap((some) => some.split(','));
    if (names?.every((name) => this.catalogue.has(name)) ?? true) return names;
    throw unreadableParameter('types', 'unknown-event-type', 'there is no such type of event');
  }
}

/** Who has which rights, and who looked at what, is for those who may see the audit trail. */
function hiddenFrom({ scopes }: Principal): readonly string[] {
  return scopes.has('audit:read') ? [] : ['access', 'key', 'user'];
}

/** Who has read further than the log goes has read another log: going on would skip what comes here. */
function mustBeReached(after: Position, head: Position, parameter: string): void {
  if (comparePositions(after, head) <= 0) return;
  throw unreadableParameter(
    parameter,
    'position-beyond-head',
    'The log ends before this position: it is not the log that was read.',
  );
}

function serverEvent(news: News): ServerEvent {
  const { position: id } = news;
  return 'caughtUp' in news
    ? { id, event: 'caught-up', data: { position: id } }
    : { id, event: news.event.type, data: news.event };
}
