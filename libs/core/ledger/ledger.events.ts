/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The log's own events.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import { type Id, streamOf } from '#core/kernel/ids.js';

/** The log began. It is the first event of every log, and its id tells this log from any other. */
export type LedgerCreated = Event<'LedgerCreated', { readonly ledgerId: Id<'led'> }>;

export type LedgerEvent = LedgerCreated;

/** One name for every log, so that of two processes that start together only one can begin it. */
export const ORIGIN = streamOf('ledger', 'origin');

export const ledgerEvents = catalogue<LedgerEvent>({
  LedgerCreated: {
    version: 1,
    says: { en: 'The ledger was created', de: 'Das Register wurde angelegt' },
  },
});
