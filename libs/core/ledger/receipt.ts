import type { ReceiptId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { Seal } from '#core/kernel/seal.js';
import type { Outcome, OutcomeEvent } from './ledger.js';

/** What a caller gets for what was recorded, with the three promises: recorded, visible, sealed. */
export interface Receipt {
  readonly receiptId: ReceiptId;
  readonly subjectId: SubjectId;
  readonly revision: number;
  readonly position: Position;
  readonly recordedAt: Instant;
  /** Empty where everything was on record already. */
  readonly events: readonly OutcomeEvent[];
  /** Whether everything that serves decisions and subjects has passed it. */
  readonly visible: boolean;
  /** Whether a signed checkpoint covers it. */
  readonly sealed: boolean;
  /** The first one that does. */
  readonly checkpoint?: Seal;
}

export function receiptOf(
  outcome: Pick<Outcome, 'revision' | 'position' | 'recordedAt' | 'events'>,
  subjectId: SubjectId,
  receiptId: ReceiptId,
  { visible, seal }: { readonly visible: boolean; readonly seal?: Seal },
): Receipt {
  const { revision, position, recordedAt, events } = outcome;
  return {
    receiptId,
    subjectId,
    revision,
    position,
    recordedAt,
    events,
    visible,
    sealed: seal !== undefined,
    ...(seal && { checkpoint: seal }),
  };
}

/** Receipts that say what holds now: whether what was recorded is visible, and whether it is sealed. */
export class Receipts {
  constructor(
    private readonly readModels: { visible(position: Position): Promise<boolean> },
    private readonly seals: { of(position: Position): Promise<Seal | undefined> },
  ) {}

  async of(
    recorded: Parameters<typeof receiptOf>[0],
    subjectId: SubjectId,
    receiptId: ReceiptId,
  ): Promise<Receipt> {
    const visible = await this.readModels.visible(recorded.position);
    const seal = await this.seals.of(recorded.position);
    return receiptOf(recorded, subjectId, receiptId, { visible, seal });
  }
}
