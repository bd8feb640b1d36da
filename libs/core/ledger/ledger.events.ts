/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The log's own events.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import { type Id, streamOf } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';

/** The log began. It is the first event of every log, and its id tells this log from any other. */
export type LedgerCreated = Event<'LedgerCreated', { readonly ledgerId: Id<'led'> }>;

/**
 * Events that a checkpoint covered are lost, and an operator has accepted it: the log goes on from an earlier
 * state, and is sealed under another name from here on, since no name may stand for two histories.
 */
export type HistoryLost = Event<
  'HistoryLost',
  {
    /** The name that the log was sealed under until now. */
    readonly origin: string;
    /** How many events the log had by the newest checkpoint that is known, and their root in base64. */
    readonly size: number;
    readonly root: string;
    readonly continuesAs: string;
  }
>;

/**
 * The log was moved to another store, whole and unchanged. It is the first event of the log that is not in
 * the store before, and says what was found to be the same in both.
 */
export type LedgerMoved = Event<
  'LedgerMoved',
  {
    /** 1 for the first move. */
    readonly era: number;
    readonly from: LogStore;
    readonly to: LogStore;
    /** Events before this one. */
    readonly events: number;
    /** Of their stored bytes, in order, as `ledgerctl copy` says it; lower-case hexadecimal. */
    readonly digest: string;
    /** Positions of the new store lie behind this one, and all that were given out before it do not. */
    readonly positionsFrom: Position;
  }
>;

/** Kinds of stores that a log can lie in. */
export type LogStore = 'postgres' | 'kurrentdb';

export type LedgerEvent = LedgerCreated | LedgerMoved | HistoryLost;

/** One name for every log, so that of two processes that start together only one can begin it. */
export const ORIGIN = streamOf('ledger', 'origin');

export const ledgerEvents = catalogue<LedgerEvent>({
  LedgerCreated: {
    version: 1,
    says: { en: 'The ledger was created', de: 'Das Register wurde angelegt' },
  },
  HistoryLost: {
    version: 1,
    says: {
      en: 'Events were lost, and the log goes on under another name',
      de: 'Ereignisse sind verloren, das Register wird unter anderem Namen fortgeführt',
    },
  },
  LedgerMoved: {
    version: 1,
    says: {
      en: 'The ledger was moved to another store',
      de: 'Das Register ist in einen anderen Speicher umgezogen',
    },
  },
});
