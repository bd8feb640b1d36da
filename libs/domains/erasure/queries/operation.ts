import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { type OperationId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import { fold } from '#core/kernel/model.js';
import { Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { DATABASE } from '#core/platform/tokens.js';
import { type Erasure, erasure } from '../domain/erasure.js';
import { type Database, subjectOfOperation } from '../projections/operations.projection.js';

export type { Erasure };

/** How far long work has come. */
export class AskOperation extends Query<{
  readonly subjectId: SubjectId;
  readonly erasure: Erasure;
}> {
  constructor(readonly operationId: OperationId) {
    super();
  }
}

@QueryHandler(AskOperation)
export class AnswerOperation implements IQueryHandler<AskOperation> {
  constructor(
    @Inject(DATABASE) private readonly database: Database,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
    private readonly ledger: Ledger,
  ) {}

  async execute({
    operationId,
  }: AskOperation): Promise<{ subjectId: SubjectId; erasure: Erasure }> {
    const subjectId = await this.subjectOf(operationId);
    if (!subjectId)
      throw new Refused('not-found', 'unknown-operation', 'there is no such operation');
    return {
      subjectId,
      erasure: fold(erasure, await this.ledger.read(streamOf('subject', subjectId))),
    };
  }

  /** Somebody may ask before the read model has come as far as the request; what it then lacks is awaited once. */
  private async subjectOf(operationId: OperationId): Promise<SubjectId | undefined> {
    const known = await subjectOfOperation(this.database, operationId);
    if (known) return known;
    const head = await this.ledger.head();
    if (head) await this.readModels.waitFor(head.position, ['operations']);
    return subjectOfOperation(this.database, operationId);
  }
}
