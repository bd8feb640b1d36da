import { Controller, Get, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { knownAtOf } from '#core/kernel/moment.js';
import { parsePosition, type Position } from '#core/kernel/position.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import {
  CurrentPrincipal,
  type Principal,
  requireScope,
  Requires,
} from '#core/platform/http/auth.guard.js';
import { decodeCursor, encodeCursor, type Filters } from '#core/platform/http/cursor.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { unreadableParameter } from '#core/platform/http/request-refused.js';
import { TraceId } from '#core/platform/http/trace.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { type PurposeScope, ShowTimeline, type TimelineItem } from '../queries/show-timeline.js';
import { timelineExample } from './audit.examples.js';
import { timelineSchema } from './audit.schemas.js';
import { TimelineQuery } from './audit.shapes.js';

/** A part of a person's timeline. `page.next` is missing on the last one. */
export interface TimelinePage {
  readonly subjectId: SubjectId;
  readonly items: readonly TimelineItem[];
  readonly page: { readonly next?: string };
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  readonly position: Position;
}

@Controller('/v1/subjects')
export class TimelineController {
  constructor(private readonly queries: QueryBus) {}

  @Get(':id/timeline')
  @Requires('subjects:read')
  @Operation({
    tag: 'subjects',
    summary: 'Everything on record about a person, in words and data',
    description:
      'In the order in which the ledger learned it, which is the order of positions: what is entered late stands ' +
      'where it was entered, with the time at which it happened. `asOf` leaves out what happened later, `knownAt` ' +
      'what was learned later. `purpose` keeps what bears on that purpose: also its topics, objections to all ' +
      'marketing where it is marketing, restrictions and the erasure. Personal fields are absent from `data` unless ' +
      '`reveal=true`, which needs the scope subjects:reveal and is recorded first; `{"erased":true}` stands for one ' +
      'whose key was destroyed.',
    answers: {
      200: {
        description: 'A page of the timeline.',
        body: timelineSchema,
        example: timelineExample,
        headers: {
          ETag: 'The revision of the stream, now.',
          Link: 'The next page, where there is one.',
        },
      },
    },
    problems: { 400: ['unknown-purpose', 'cursor-mismatch'], 404: ['unknown-subject'] },
  })
  async show(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Query() query: TimelineQuery,
    @CurrentPrincipal() principal: Principal,
    // Folded from the stream, it is never behind what a token asks for.
    @ConsistentAt() _: Position | undefined,
    @TraceId() correlationId: string,
    @Answering() answer: Answer,
  ): Promise<TimelinePage> {
    const { asOf, knownAt, limit, language, reveal } = query;
    if (reveal) requireScope(principal, 'subjects:reveal');
    const filters = {
      subjectId,
      asOf,
      knownAt: knownAt && JSON.stringify(knownAt),
      purpose: query.purpose,
    };
    const after = placeOf(filters, query.cursor);
    const purpose = query.purpose === undefined ? undefined : await this.scopeOf(query.purpose);

    const timeline = await this.queries.execute(
      new ShowTimeline(
        subjectId,
        { asOf, knownAt, purpose, after, limit, language, reveal },
        { actor: { kind: principal.kind, id: principal.id }, correlationId },
      ),
    );
    const last = timeline.more ? timeline.items.at(-1) : undefined;
    const next = last && encodeCursor(LIST, filters, [last.position]);
    answer.revision(timeline.revision).nextPage(next);
    return {
      subjectId,
      items: timeline.items,
      page: { next },
      asOf: timeline.asOf,
      knownAt: knownAtOf(knownAt, timeline.position),
      position: timeline.position,
    };
  }

  private async scopeOf(key: string): Promise<PurposeScope> {
    const { purposes, topics } = await this.queries.execute(new AskPrivacyCentre());
    const purpose = Object.hasOwn(purposes, key) ? purposes[key] : undefined;
    if (!purpose)
      throw unreadableParameter('purpose', 'unknown-purpose', 'there is no such purpose');
    const own = Object.values(topics).filter((topic) => topic.purpose === key);
    return { key, marketing: purpose.marketing, topics: own.map((topic) => topic.key) };
  }
}

const LIST = 'timeline';

function placeOf(filters: Filters, cursor: string | undefined): Position | undefined {
  const place = decodeCursor(LIST, filters, cursor);
  if (!place) return undefined;
  const after = parsePosition(place[0]);
  if (after !== undefined) return after;
  throw unreadableParameter(
    'cursor',
    'cursor-malformed',
    'The cursor must be one that an earlier page gave.',
  );
}
