import type { EventId, StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { Content } from './content.js';

/**
 * The port to an event store. Every MUST below is a test of the contract suite that all adapters run.
 * Adapters know bytes, streams and order; nothing of event types, sealing or consent.
 */
export interface EventStore {
  /**
   * Appends all events to one stream, or none.
   * - MUST refuse with WrongExpectedRevision where the stream is not as `expected` says.
   * - MUST answer a repetition (the same ids, contiguous, with the same content) with the first result,
   *   in every mode of `expected` and for ever; content is compared without recordedAt and revision.
   * - MUST refuse with EventIdReused an id that its stream holds with other content, and a batch of which
   *   only a part is stored.
   * - MUST be durable when it returns. An outcome that can not be learned in time is OutcomeUnknown.
   * - MUST give later positions to what is appended later, and MUST never let a reader see a position
   *   while a lower one may still appear.
   * - MUST stamp recordedAt so that it never decreases along positions.
   * - MUST NOT let one conflict fail other appends that travel with it.
   */
  append(request: AppendRequest): Promise<Appended>;

  /**
   * One stream's events from `fromRevision` (default 0) in order; empty where there is no such stream.
   * - MUST give at most `limit` of them where given; fewer MUST mean that the stream ended there, as of some
   *   moment of the call.
   */
  read(stream: StreamName, options?: ReadOptions): Promise<readonly StoredEvent[]>;

  /**
   * What is known of a stream without asking for it, perhaps out of date: a decision may be tried on it, since its
   * append is refused where the stream went on. Undefined where the store keeps nothing of any stream.
   * - MUST be events of the stream from its first on, without a gap; none where nothing is known of it.
   */
  remembered?(stream: StreamName): readonly StoredEvent[] | undefined;

  /**
   * Several streams at once, each in order of revision, up to and including `upTo` where given.
   * MUST have an entry for every stream asked for, an empty one where there is no such stream.
   */
  readMany(
    streams: readonly StreamName[],
    options?: { upTo?: Position },
  ): Promise<ReadonlyMap<StreamName, readonly StoredEvent[]>>;

  /**
   * A page of the log in order, after (exclusive) `after`; of the given stream categories only, where given.
   * - MUST return bytes exactly as they were stored.
   * - `scannedTo` MUST be a position up to which nothing that matches was left out and MUST NOT lie beyond
   *   what was scanned; on an empty page it may lie after `after`.
   * - Fewer than `limit` events MUST mean that the log was scanned to its end, as of some moment of the call.
   * - MUST throw LedgerCorrupt, naming the position, where an event is missing from a page of all categories.
   */
  readAll(after: Position, options: ReadAllOptions): Promise<Page>;

  /**
   * Pages of the log as they come, for ever, until `signal` aborts. Ends only by abort or by throwing.
   * - Notifications are hints: MUST deliver within a second although every notification is lost.
   * - MUST outlast times in which the store can not be reached, and throw LedgerUnavailable once it is closed.
   * - MUST throw LedgerCorrupt where the log ends before `after`, or before what was delivered already.
   */
  follow(after: Position, options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Page>;

  /** The last event of the log; undefined where the log is empty. */
  head(): Promise<Head | undefined>;

  /** The event at exactly this position; undefined where there is none. Proves that a checkpoint is of this log. */
  at(position: Position): Promise<StoredEvent | undefined>;

  /** The last position recorded at or before `instant`; START where there is none. */
  positionAt(instant: Instant): Promise<Position>;

  /**
   * Where the log has now what lay at this position when the position was given out; only a log that was
   * moved from another store has another answer than the position itself.
   */
  locate?(position: Position): Promise<Position>;

  close(): Promise<void>;
}

/** What must be true of a stream for an append to it. */
export type Expected =
  | { readonly kind: 'none' }
  | { readonly kind: 'exact'; readonly revision: number }
  | { readonly kind: 'exists' }
  | { readonly kind: 'any' };

export interface AppendRequest {
  readonly stream: StreamName;
  readonly expected: Expected;
  /** At least one; ids unique within the stream. */
  readonly events: readonly [NewEvent, ...NewEvent[]];
  /** Bulk work yields: an online append waits at most about 50 ms for it. */
  readonly bulk?: boolean;
}

export interface NewEvent {
  readonly id: EventId;
  readonly type: string;
  readonly content: Content;
}

export interface Appended {
  /** Of the last event. */
  readonly revision: number;
  readonly position: Position;
  readonly recordedAt: Instant;
  readonly events: readonly { readonly revision: number; readonly position: Position }[];
  /** True where these events were stored already, perhaps by a try of this call whose answer was lost. */
  readonly repeated: boolean;
}

export interface StoredEvent {
  readonly stream: StreamName;
  readonly revision: number;
  readonly position: Position;
  /** Canonical JSON (RFC 8785) of every envelope field but the position. */
  readonly bytes: Uint8Array;
}

export interface ReadOptions {
  readonly fromRevision?: number;
  /** At least 1. */
  readonly limit?: number;
}

export interface ReadAllOptions {
  /** At most this many events a page. */
  readonly limit: number;
  readonly categories?: readonly string[];
}

export interface Page {
  readonly events: readonly StoredEvent[];
  readonly scannedTo: Position;
}

export interface Head {
  readonly position: Position;
  readonly id: EventId;
  readonly recordedAt: Instant;
}

/** The stream is not as expected. `actual` is its last revision, undefined where there is none. */
export class WrongExpectedRevision extends Error {
  override readonly name = 'WrongExpectedRevision';
  constructor(
    readonly stream: StreamName,
    readonly expected: Expected,
    readonly actual: number | undefined,
  ) {
    const wanted = expected.kind === 'exact' ? `revision ${expected.revision}` : expected.kind;
    super(
      `${stream}: expected ${wanted}, found ${actual === undefined ? 'no stream' : `revision ${actual}`}`,
    );
  }
}

/** An id that the stream holds already with other content, or a batch of which only a part is stored. */
export class EventIdReused extends Error {
  override readonly name = 'EventIdReused';
  constructor(
    readonly stream: StreamName,
    readonly eventId: EventId,
    readonly reason: 'other-content' | 'partial-overlap',
  ) {
    super(`${stream}: ${eventId} is stored already (${reason})`);
  }
}

/** The append may or may not have happened. Repeating it with the same ids is safe. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/** The store can not be reached or can not write now; nothing was written. */
export class LedgerUnavailable extends Error {
  override readonly name = 'LedgerUnavailable';
}

/** What is stored contradicts itself. Nothing may go on past this position. */
export class LedgerCorrupt extends Error {
  override readonly name = 'LedgerCorrupt';
  constructor(
    readonly position: Position,
    readonly reason: string,
  ) {
    super(`position ${position}: ${reason}`);
  }
}
