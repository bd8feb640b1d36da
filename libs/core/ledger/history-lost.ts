import { newId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { type Decision, fold, ignored, model } from '#core/kernel/model.js';
import { type Ledger, type Outcome, step } from './ledger.js';
import { type HistoryLost, type LedgerEvent, ORIGIN } from './ledger.events.js';

/** By the name that a log was sealed under: the one that it goes on as. */
type Names = Readonly<Record<string, string>>;

const names = model<LedgerEvent>()({
  name: 'names',
  initial: {} as Names,
  evolve: {
    LedgerCreated: ignored,
    LedgerMoved: ignored,
    HistoryLost: (known: Names, { data: { origin, continuesAs } }) => ({
      ...known,
      [origin]: continuesAs,
    }),
  },
});

/** Nothing, where it goes on under another name already. */
export const loseHistory =
  (lost: Omit<HistoryLost['data'], 'continuesAs'>): Decision<Names, LedgerEvent> =>
  (known) =>
    known[lost.origin] === undefined
      ? [{ type: 'HistoryLost', data: { ...lost, continuesAs: successorOf(lost.origin) } }]
      : [];

/** Records that events which a checkpoint covered are lost for good. */
export function recordLoss(
  ledger: Ledger,
  lost: Omit<HistoryLost['data'], 'continuesAs'>,
  at: Instant,
): Promise<Outcome> {
  const interactionId = newId('rcp');
  const occasion = {
    occurredAt: at,
    actor: { kind: 'system', id: 'operator' },
    source: 'ledger',
    interactionId,
    correlationId: interactionId,
  } as const;
  return ledger.transact(ORIGIN, occasion, [step(names, loseHistory(lost))]);
}

/** The name that the log is sealed under now, if it began under this one. */
export async function presentName(ledger: Ledger, origin: string): Promise<string> {
  const known = fold(names, await ledger.read(ORIGIN));
  let name = origin;
  for (let next = known[name]; next !== undefined; next = known[name]) name = next;
  return name;
}

/** `ledger.example`, `ledger.example/2`, `ledger.example/3`. */
export function successorOf(origin: string): string {
  const [, base = origin, number] = /^(.*)\/(\d{1,6})$/.exec(origin) ?? [];
  return `${base}/${Number(number ?? 1) + 1}`;
}
