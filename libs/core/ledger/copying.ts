import type { Position } from '#core/kernel/position.js';
import type { EventStore, StoredEvent } from './port.js';

/**
 * The port that a copy of a log is written through, beside the EventStore of the same place: what is stored
 * elsewhere is taken over as it is, so that every proof over the bytes still holds. Every MUST below is a
 * test of the contract suite that all adapters run.
 */
export interface StoredEvents {
  /**
   * Adds these events after the last of the log, in this order.
   * - MUST keep stream, revision and bytes as they are; only the positions are new.
   * - MUST leave the store such that appending goes on as if the events had been appended there: a
   *   repetition of one gets its result, the next revision follows, times are found: where writers stamped
   *   clocks of their own, the ledger's time is the latest along the log.
   * - MUST refuse with NotNext, writing nothing of that event and those after it, where an event's revision
   *   is not its stream's next. What is stored already may be taken again; it MUST NOT be stored twice.
   * - Broken off at any moment, MUST leave a beginning of `events`, in order, and nothing else.
   * - Only one may write at a time. What an adapter can do against a second writer, it does.
   */
  append(events: readonly StoredEvent[]): Promise<void>;

  close(): Promise<void>;
}

/** Where a log is read that is compared with another, or copied from. */
export type CopySource = Pick<EventStore, 'read' | 'readAll' | 'head' | 'at'>;

/** An event does not follow what its stream has here. */
export class NotNext extends Error {
  override readonly name = 'NotNext';
  constructor(
    readonly event: StoredEvent,
    readonly actual: number | undefined,
  ) {
    super(
      `${event.stream}: revision ${event.revision} can not follow ${actual === undefined ? 'no event' : `revision ${actual}`}`,
    );
  }
}

/** The log that was to be copied to holds something else than a copy of the source. */
export class NotACopy extends Error {
  override readonly name = 'NotACopy';
}

/** Two logs that must be the same are not, from this event (the first is 1) on. */
export class CopyDiffers extends Error {
  override readonly name = 'CopyDiffers';
  constructor(
    readonly event: number,
    readonly source: Position,
    readonly target: Position,
    readonly reason: string,
  ) {
    super(`event ${event}, at ${source} and ${target}: ${reason}`);
  }
}
