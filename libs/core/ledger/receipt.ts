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
