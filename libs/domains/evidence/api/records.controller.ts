import { Controller, Get, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { type Records, ShowRecords } from '../queries/show-records.js';
import { recordsExample } from './evidence.examples.js';
import { recordsSchema } from './evidence.schemas.js';
import { RecordsQuery } from './evidence.shapes.js';

@Controller('/v1/subjects')
export class RecordsController {
  constructor(private readonly queries: QueryBus) {}

  @Get(':id/records')
  @Requires('evidence:read')
  @Operation({
    tag: 'evidence',
    summary: 'Consent records and receipts after ISO/IEC TS 27560, as JSON-LD',
    description:
      'In the terms of the W3C Data Privacy Vocabulary (DPV) 2.3: a record for each purpose for which consent was ever ' +
      'spoken of, with every state it was in, and a receipt for each interaction. A grant that waits for its ' +
      'confirmation is *requested* still, one without the evidence it needs is *unknown*: nothing is called given ' +
      'that does not count. The person is an opaque id and no personal field is in it, before an erasure and after ' +
      'it. Jurisdiction, places of storage and processing and the supervisory authority are not held by the ledger ' +
      'and therefore absent, which is why no conformance to the profiles of DPV for such records is claimed.',
    answers: {
      200: { description: 'The records.', body: recordsSchema, example: recordsExample },
    },
    problems: { 404: ['unknown-subject'] },
  })
  show(
    @Param('id', idOf('sub', 'unknown-subject')) subjectId: SubjectId,
    @Query() query: RecordsQuery,
    // Folded from the stream, it is never behind what a token asks for.
    @ConsistentAt() _: Position | undefined,
  ): Promise<Records> {
    return this.queries.execute(new ShowRecords(subjectId, query));
  }
}
