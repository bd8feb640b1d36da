import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Position } from '#core/kernel/position.js';
import { Ledger } from '#core/ledger/ledger.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { DATABASE } from '#core/platform/tokens.js';
import {
  type AuditEvents,
  type AuditFilter,
  type AuditPlace,
  type Database,
  findAuditEvents,
} from '../projections/audit-trail.questions.js';

export type {
  AuditEvent,
  AuditEvents,
  AuditFilter,
  AuditPlace,
} from '../projections/audit-trail.questions.js';

/** Who did and saw what, the newest first. */
export class FindAuditEvents extends Query<AuditEvents> {
  constructor(
    readonly filter: AuditFilter,
    readonly after: AuditPlace | undefined,
    readonly limit: number,
    /** The trail must have come this far. */
    readonly consistentAt?: Position,
  ) {
    super();
  }
}

@QueryHandler(FindAuditEvents)
export class FindAuditEventsHandler implements IQueryHandler<FindAuditEvents> {
  constructor(
    @Inject(DATABASE) private readonly database: Database,
    private readonly ledger: Ledger,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
  ) {}

  async execute({ filter, after, limit, consistentAt }: FindAuditEvents): Promise<AuditEvents> {
    if (consistentAt) await this.readModels.waitFor(consistentAt, ['audit-trail']);
    const place = after && { ...after, position: await this.ledger.locate(after.position) };
    return findAuditEvents(this.database, filter, place, limit);
  }
}
