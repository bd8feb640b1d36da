import { Controller, Get, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { parseInstant } from '#core/kernel/instant.js';
import { parsePosition, type Position } from '#core/kernel/position.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import {
  decodeCursor,
  encodeCursor,
  type PageOf,
  pageOf,
  type Place,
} from '#core/platform/http/cursor.js';
import { Operation } from '#core/platform/http/operation.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { unreadableParameter } from '#core/platform/http/request-refused.js';
import { type AuditEvent, type AuditPlace, FindAuditEvents } from '../queries/audit-events.js';
import { auditExample } from './access.examples.js';
import { auditSchema } from './access.schemas.js';
import { AuditQuery } from './access.shapes.js';

/** Who did and saw what. Ids, codes and times; nothing of what was seen. */
@Controller('/v1/audit-events')
export class AuditEventsController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @Requires('audit:read')
  @Operation({
    summary: 'Who did and saw what, the newest first',
    description:
      'Every look at personal data, every change of catalogue and access, every erasure and restriction, and ' +
      'whatever an officer did.',
    answers: { 200: { description: 'A page.', body: auditSchema, example: auditExample } },
  })
  async list(
    @Query() query: AuditQuery,
    @ConsistentAt() consistentAt: Position | undefined,
    @Answering() answer: Answer,
  ): Promise<PageOf<AuditEvent> & { readonly position: Position }> {
    const { limit, cursor, actor, action, target, from, to } = query;
    const filter = { actor, action, target, from, to };
    const after = placeIn(decodeCursor('audit-events', filter, cursor));
    const { events, position } = await this.queries.execute(
      new FindAuditEvents(filter, after, limit + 1, consistentAt),
    );
    const list = pageOf(events, limit, (last) =>
      encodeCursor('audit-events', filter, [last.recordedAt, last.position]),
    );
    answer.nextPage(list.page.next);
    return { ...list, position };
  }
}

function placeIn(place: Place | undefined): AuditPlace | undefined {
  if (!place) return undefined;
  const recordedAt = parseInstant(place[0]);
  const position = parsePosition(place[1] ?? '');
  if (recordedAt && position) return { recordedAt, position };
  throw unreadableParameter(
    'cursor',
    'cursor-malformed',
    'The cursor must be one that an earlier page gave.',
  );
}
