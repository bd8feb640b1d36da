import type { Occasion } from '#core/kernel/event.js';
import { newId } from '#core/kernel/ids.js';
import { type Clock, systemClock } from '#core/kernel/instant.js';
import { type Decision, fold, ignored, model } from '#core/kernel/model.js';
import { type Position, START } from '#core/kernel/position.js';
import { type Ledger, step } from './ledger.js';
import { type LedgerEvent, type LedgerMoved, ORIGIN } from './ledger.events.js';

/** What the log says of itself: that it began, and where its positions begin since it was moved last. */
export interface Origin {
  readonly created: boolean;
  /** How often the log was moved. */
  readonly era: number;
  readonly positionsFrom: Position;
}

export const origin = model<LedgerEvent>()<Origin>({
  name: 'origin',
  initial: { created: false, era: 0, positionsFrom: START },
  evolve: {
    LedgerCreated: (state) => ({ ...state, created: true }),
    HistoryLost: ignored,
    LedgerMoved: (state, { data: { era, positionsFrom } }) => ({ ...state, era, positionsFrom }),
  },
});

export async function originOf(ledger: Ledger): Promise<Origin> {
  return fold(origin, await ledger.read(ORIGIN));
}

/** Records in the log's new store that it was moved there; again changes nothing. */
export async function recordMove(
  ledger: Ledger,
  moved: LedgerMoved['data'],
  clock: Clock = systemClock,
): Promise<void> {
  const occasion = occasionOf(`move ${moved.era}`, clock);
  await ledger.transact(ORIGIN, occasion, [step(origin, move(moved))]);
}

const move =
  (data: LedgerMoved['data']): Decision<Origin, LedgerEvent> =>
  ({ era }) =>
    era >= data.era ? [] : [{ type: 'LedgerMoved', data }];

/** The ledger itself acts. */
export function occasionOf(correlationId: string, clock: Clock): Occasion {
  return {
    occurredAt: clock.now(),
    actor: { kind: 'system', id: 'ledger' },
    source: 'ledger',
    interactionId: newId('rcp'),
    correlationId,
  };
}
