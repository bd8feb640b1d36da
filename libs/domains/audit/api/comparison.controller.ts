import { Controller, Get, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { CurrentPrincipal, type Principal, Requires } from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { CompareMoments, type Comparison } from '../queries/compare-moments.js';
import { comparisonExample } from './audit.examples.js';
import { comparisonSchema } from './audit.schemas.js';
import { CompareQuery } from './audit.shapes.js';

@Controller('/v1/subjects')
export class ComparisonController {
  constructor(private readonly queries: QueryBus) {}

  @Get(':id/compare')
  @Requires('subjects:read')
  @Operation({
    tag: 'subjects',
    summary: 'What is different about a person between two moments, and by which events',
    description:
      'Each moment has two times: `from` and `to` say what had happened, `fromKnownAt` and `toKnownAt` what the ' +
      'ledger knew. With `from` and `to` alike and two different `knownAt` it tells what was learned about one and ' +
      'the same day. Of a purpose the whole answer is compared, with all its bases. `events` are those that bear on ' +
      'the difference and happened, or were learned, between the two; where there are none, `byTime` is true: a term ' +
      'came to its end, and `events` are those that set it. Personal fields are not shown.',
    answers: {
      200: {
        description: 'The differences; none where the person stood alike.',
        body: comparisonSchema,
        example: comparisonExample,
        headers: { ETag: 'The revision of the stream, now.' },
      },
    },
    problems: { 404: ['unknown-subject'] },
  })
  async compare(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Query() { from, to, fromKnownAt, toKnownAt, language }: CompareQuery,
    @CurrentPrincipal() principal: Principal,
    // Folded from the stream, it is never behind what a token asks for.
    @ConsistentAt() _: Position | undefined,
    @Answering() answer: Answer,
  ): Promise<{ readonly subjectId: SubjectId } & Omit<Comparison, 'revision'>> {
    const { revision, ...comparison } = await this.queries.execute(
      new CompareMoments(
        subjectId,
        { asOf: from, knownAt: fromKnownAt },
        { asOf: to, knownAt: toKnownAt },
        language,
        principal.scopes.has('evidence:read'),
      ),
    );
    answer.revision(revision);
    return { subjectId, ...comparison };
  }
}
