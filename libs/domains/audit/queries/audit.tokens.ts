import type { ReceiptId } from '#core/kernel/ids.js';
import type { EventStore } from '#core/ledger/port.js';
import type { Receipt } from '#core/ledger/receipt.js';

/** What this slice needs from whoever puts the application together, by its name in dependency injection. */

/** The joined catalogue of all slices and of the log itself: an `EventCatalogue`. */
export const EVENT_CATALOGUE = Symbol('EventCatalogue');

/**
 * The log as it is stored. The feed hands out the very bytes, so that what was recorded can be checked
 * against a proof, and an event that this version of the code does not know holds nobody up.
 */
export type StoredEvents = Pick<EventStore, 'readAll' | 'follow' | 'head'>;
export const STORED_EVENTS = Symbol('StoredEvents');

/** Receipts of interactions that decided nothing: no event tells of them. */
export interface RecordedReceipts {
  /** As it was first given; undefined where it was forgotten or never was. */
  find(receiptId: ReceiptId): Promise<Receipt | undefined>;
}
export const RECORDED_RECEIPTS = Symbol('RecordedReceipts');
