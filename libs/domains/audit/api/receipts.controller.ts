import { Controller, Get, Param } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { ReceiptId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import type { Receipt } from '#core/ledger/receipt.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { ShowReceipt } from '../queries/show-receipt.js';
import { receiptExample } from './audit.examples.js';
import { receiptSchema } from './audit.schemas.js';

/** What a caller was given for what was recorded. */
@Controller('/v1/receipts')
export class ReceiptsController {
  constructor(private readonly queries: QueryBus) {}

  @Get(':id')
  @Requires('subjects:read', 'choices:write')
  @Operation({
    summary: 'A receipt in its present state',
    description:
      'What was recorded never changes; `visible` tells whether decisions and subjects reflect it by now, `sealed` ' +
      'whether a signed checkpoint covers it. A receipt without events decided nothing, and is kept for 30 days.',
    answers: {
      200: {
        description: 'The receipt.',
        body: receiptSchema,
        example: receiptExample,
        headers: { 'Consistency-Token': 'For a read that must see what was recorded.' },
      },
    },
    problems: { 404: ['unknown-receipt'], 503: ['projection-lagging'] },
  })
  async show(
    @Param('id', idOf('rcp', 'unknown-receipt')) receiptId: ReceiptId,
    @ConsistentAt() consistentAt: Position | undefined,
    @Answering() answer: Answer,
  ): Promise<Receipt> {
    const receipt = await this.queries.execute(new ShowReceipt(receiptId, consistentAt));
    answer.position(receipt.position);
    return receipt;
  }
}
