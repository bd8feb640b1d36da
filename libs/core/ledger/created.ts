import { type Id, newId } from '#core/kernel/ids.js';
import { type Clock, systemClock } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { START } from '#core/kernel/position.js';
import { type Ledger, step } from './ledger.js';
import { type LedgerEvent, ORIGIN } from './ledger.events.js';
import { type Origin, occasionOf, origin } from './origin.js';
import { LedgerCorrupt } from './port.js';

const create =
  (ledgerId: Id<'led'>): Decision<Origin, LedgerEvent> =>
  ({ created }) =>
    created ? [] : [{ type: 'LedgerCreated', data: { ledgerId } }];

/**
 * Begins the log where it is empty, and returns the ledger's id. Call it before anything else is appended;
 * of several processes that start together one begins it.
 * @throws LedgerCorrupt where the log begins with something else
 */
export async function ensureCreated(
  ledger: Ledger,
  clock: Clock = systemClock,
): Promise<Id<'led'>> {
  const known = await ledgerIdOf(ledger);
  if (known !== undefined) return known;
  const ledgerId = newId('led');
  await ledger.transact(ORIGIN, occasionOf(ledgerId, clock), [step(origin, create(ledgerId))]);
  return (await ledgerIdOf(ledger)) as Id<'led'>;
}

/** The id in the log's first event; undefined where the log is empty. */
export async function ledgerIdOf(ledger: Ledger): Promise<Id<'led'> | undefined> {
  const [first] = (await ledger.readAll(START, { limit: 1 })).events;
  if (first === undefined) return undefined;
  if (first.type !== 'LedgerCreated')
    throw new LedgerCorrupt(first.position, 'the log does not begin with LedgerCreated');
  return (first.data as { ledgerId: Id<'led'> }).ledgerId;
}
