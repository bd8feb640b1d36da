import type { EventStore } from '#core/ledger/port.js';

/** What this slice needs from whoever puts the application together, by its name in dependency injection. */

/** The log as it is stored: what is handed out are the very bytes that were sealed. */
export type StoredStreams = Pick<EventStore, 'read' | 'readMany'>;
export const STORED_STREAMS = Symbol('StoredStreams');

/** The page that checks a bundle, as text. */
export const VERIFY_HTML = Symbol('VerifyHtml');
