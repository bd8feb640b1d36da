import { Body, Controller, HttpCode, Post, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { FastifyReply } from 'fastify';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import {
  CurrentPrincipal,
  type Principal,
  requireScope,
  Requires,
} from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { sendNdjson } from '#core/platform/http/streaming.js';
import { TraceId } from '#core/platform/http/trace.js';
import { RecordLook } from '#domains/access/commands/record-look.message.js';
import { AskReachability } from '#domains/subjects/queries/reachability.message.js';
import { AskAudience, type Audience } from '../queries/audience.js';
import { audienceExample, audienceSummaryExample } from './consents.examples.js';
import { audienceLineSchema } from './consents.schemas.js';
import { AudienceBody } from './consents.shapes.js';

/** Everyone we may. */
@Controller('/v1/audiences')
export class AudiencesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @HttpCode(200)
  @Requires('decisions:read')
  @Operation({
    summary: 'Everyone for whom a purpose is allowed',
    description:
      'A line for each person, in order of id; the last line is the summary. A stream without it is incomplete. Every ' +
      'audience is recorded before its first line is sent.',
    tag: 'decisions',
    example: audienceExample,
    answers: {
      200: {
        description: 'People, then the summary.',
        ndjson: audienceLineSchema,
        example: audienceSummaryExample,
      },
    },
    problems: {
      422: ['unknown-purpose', 'unknown-topic', 'topic-of-other-purpose', 'channel-required'],
      503: ['read-model-stale', 'projection-lagging'],
    },
  })
  async audience(
    @Body() body: AudienceBody,
    @Res() reply: FastifyReply,
    @CurrentPrincipal() principal: Principal,
    @ConsistentAt() consistentAt: Position | undefined,
    @TraceId() correlationId: string,
  ): Promise<void> {
    if (body.include.includes('contactPoints')) requireScope(principal, 'subjects:reveal');
    const behindErasure = principal.scopes.has('evidence:read');
    const audience = await this.queries.execute(new AskAudience(body, behindErasure, consistentAt));
    const { purpose, topic, channel, include } = body;
    const { asOf, position: knownAt } = audience;
    const look = {
      viewed: 'audience' as const,
      purpose,
      topic,
      channel,
      asOf,
      knownAt,
      included: include,
    };
    const actor = { kind: principal.kind, id: principal.id };
    await this.commands.execute(new RecordLook(look, { actor, correlationId }));
    await sendNdjson(reply, () => this.lines(audience, body));
  }

  private async *lines(
    audience: Audience,
    { include, summary }: AudienceBody,
  ): AsyncGenerator<readonly object[]> {
    let count = 0;
    const reasons = new Map<string, number>();
    for await (const { allowed, excluded } of audience.sections()) {
      count += allowed.length;
      for (const [code, more] of excluded) reasons.set(code, (reasons.get(code) ?? 0) + more);
      yield include.length > 0
        ? await this.withInclusions(allowed, include)
        : allowed.map((subjectId) => ({ subjectId }));
    }
    const { asOf, knownAt, position } = audience;
    const excluded = summary === 'full' ? Object.fromEntries([...reasons].sort()) : undefined;
    yield [{ summary: { allowed: count, asOf, knownAt, position, excluded } }];
  }

  private async withInclusions(
    page: readonly SubjectId[],
    include: AudienceBody['include'],
  ): Promise<readonly object[]> {
    const people = await this.queries.execute(new AskReachability(page));
    return page.map((subjectId, n) => {
      const { externalRefs, contactPoints } = people[n] ?? {};
      return {
        subjectId,
        ...(include.includes('externalRefs') ? { externalRefs: externalRefs ?? [] } : {}),
        ...(include.includes('contactPoints') ? { contactPoints: contactPoints ?? [] } : {}),
      };
    });
  }
}
