import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { type KnownAt, knownAtOf } from '#core/kernel/moment.js';
import {
  comparePositions,
  earlierOf,
  laterOf,
  type Position,
  START,
} from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { resolveKnownAt } from '#core/ledger/known-at.js';
import { Ledger } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { recordsDocument, type RecordsDocument } from '../domain/records.js';
import { consentsOf, recordsByPiece } from './records.js';

export interface Records extends RecordsDocument {
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  readonly position: Position;
}

/** A person's consent records and receipts, folded from their stream and so never behind. */
export class ShowRecords extends Query<Records> {
  constructor(
    readonly subjectId: SubjectId,
    readonly asked: { readonly asOf?: Instant; readonly knownAt?: KnownAt },
  ) {
    super();
  }
}

@QueryHandler(ShowRecords)
export class ShowRecordsHandler implements IQueryHandler<ShowRecords> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, asked }: ShowRecords): Promise<Records> {
    const asOf = asked.asOf ?? this.clock.now();
    // Before the stream: up to here nothing can be missing from it.
    const head = (await this.ledger.head())?.position ?? START;
    const limit = await resolveKnownAt(this.ledger, asked.knownAt);
    const stream = await this.ledger.read(streamOf('subject', subjectId));
    const last = stream.at(-1);
    if (!last) throw new Refused('not-found', 'unknown-subject', 'there is no such person');
    const end = laterOf(head, last.position);
    const position = limit === undefined ? end : earlierOf(limit, end);
    const known = stream.filter((event) => comparePositions(event.position, position) <= 0);
    const consents = await consentsOf(this.queries, subjectId, known, { asOf, knownAt: position });
    const document = recordsDocument(recordsByPiece(consents)(known));
    return { ...document, asOf, knownAt: knownAtOf(asked.knownAt, position), position };
  }
}
