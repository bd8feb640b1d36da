import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { type ReceiptId, streamOf } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import { type Receipt, receiptOf, Receipts } from '#core/ledger/receipt.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { DATABASE } from '#core/platform/tokens.js';
import { type Database, placeOfReceipt } from '../projections/receipts.projection.js';
import { RECORDED_RECEIPTS, type RecordedReceipts } from './audit.tokens.js';

const READ_MODEL = 'receipts';

/** A receipt as it is now: what was recorded never changes, whether it is visible and sealed does. */
export class ShowReceipt extends Query<Receipt> {
  constructor(
    readonly receiptId: ReceiptId,
    readonly consistentAt?: Position,
  ) {
    super();
  }
}

@QueryHandler(ShowReceipt)
export class ShowReceiptHandler implements IQueryHandler<ShowReceipt> {
  constructor(
    @Inject(DATABASE) private readonly database: Database,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
    @Inject(RECORDED_RECEIPTS) private readonly recorded: RecordedReceipts,
    private readonly receipts: Receipts,
    private readonly ledger: Ledger,
  ) {}

  async execute({ receiptId, consistentAt }: ShowReceipt): Promise<Receipt> {
    if (consistentAt) await this.readModels.waitFor(consistentAt, [READ_MODEL]);
    const receipt =
      (await this.inStream(receiptId)) ??
      (await this.afterWaiting(receiptId)) ??
      (await this.recorded.find(receiptId));
    if (!receipt) throw new Refused('not-found', 'unknown-receipt', 'there is no such receipt');
    return this.receipts.of(receipt, receipt.subjectId, receiptId);
  }

  /** Somebody may ask before the read model has come as far as the interaction; what it lacks is awaited once. */
  private async afterWaiting(receiptId: ReceiptId): Promise<Receipt | undefined> {
    const head = await this.ledger.head();
    if (head) await this.readModels.waitFor(head.position, [READ_MODEL]);
    return this.inStream(receiptId);
  }

  private async inStream(receiptId: ReceiptId): Promise<Receipt | undefined> {
    const place = await placeOfReceipt(this.database, receiptId);
    if (!place) return undefined;
    const { subjectId, firstRevision, lastRevision } = place;
    const stream = await this.ledger.read(streamOf('subject', subjectId));
    // Others may have come in between where an interaction was recorded in several parts.
    const events = stream
      .slice(firstRevision, lastRevision + 1)
      .filter((event) => event.interactionId === receiptId);
    const last = events.at(-1);
    if (!last) throw new Error(`${receiptId} is not where the read model says`);
    const { revision, position, recordedAt } = last;
    const outcome = { revision, position, recordedAt, events: events.map(eventOf) };
    return receiptOf(outcome, subjectId, receiptId, { visible: false });
  }
}

function eventOf({
  id,
  type,
  revision,
  position,
}: Receipt['events'][number]): Receipt['events'][number] {
  return { id, type, revision, position };
}
