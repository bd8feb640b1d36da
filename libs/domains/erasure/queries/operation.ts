import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { type OperationId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { DATABASE } from '#core/platform/tokens.js';
import type { Vault } from '#core/vault/port.js';
import { VAULT } from '#core/vault/tokens.js';
import { type Erasure, erasureOf } from '../domain/erasure.js';
import { type Database, subjectOfOperation } from '../projections/operations.projection.js';

export type { Erasure };

export interface Operation {
  readonly subjectId: SubjectId;
  readonly erasure: Erasure;
  /** Since then no copy of the destroyed keys can be read either; absent while their epoch is open. */
  readonly epochClosedAt?: Instant;
}

/** How far long work has come. */
export class AskOperation extends Query<Operation> {
  constructor(
    readonly operationId: OperationId,
    /** Whose it is, where that is known; else it is looked up. */
    readonly subjectId?: SubjectId,
  ) {
    super();
  }
}

@QueryHandler(AskOperation)
export class AnswerOperation implements IQueryHandler<AskOperation> {
  constructor(
    @Inject(DATABASE) private readonly database: Database,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
    private readonly ledger: Ledger,
    @Inject(VAULT) private readonly vault: Vault,
  ) {}

  async execute({ operationId, subjectId: known }: AskOperation): Promise<Operation> {
    const subjectId = known ?? (await this.subjectOf(operationId));
    if (!subjectId)
      throw new Refused('not-found', 'unknown-operation', 'there is no such operation');
    const history = await this.ledger.read(streamOf('subject', subjectId));
    const erasure = erasureOf(operationId, history);
    return { subjectId, erasure, epochClosedAt: await this.epochClosedAt(erasure) };
  }

  private async epochClosedAt(erasure: Erasure): Promise<Instant | undefined> {
    if (erasure.step !== 'completed') return undefined;
    const { closed } = await this.vault.status();
    return closed.find(({ epoch }) => epoch === erasure.epoch)?.closedAt;
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
