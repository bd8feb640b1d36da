import type { Recorded } from '#core/kernel/event.js';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { CannotDecode } from '#core/ledger/codec.js';
import { LedgerCorrupt } from '#core/ledger/port.js';
import { LogFailed, MustStop } from './failure.js';

/**
 * What a projector reads: the log, decoded. The ledger facade has this shape; every MUST of the store's
 * port holds here too.
 *
 * `readAll` and `follow` deliver what lies before an event that no code can read and then throw
 * CannotDecode.
 */
export interface LogReader {
  readAll(after: Position, options: ReadOptions): Promise<LogPage>;
  follow(
    after: Position,
    options: ReadOptions & { readonly signal: AbortSignal },
  ): AsyncIterable<LogPage>;
  readMany(
    streams: readonly StreamName[],
    options?: { upTo?: Position },
  ): Promise<ReadonlyMap<StreamName, readonly Recorded[]>>;
  head(): Promise<LogHead | undefined>;
  at(position: Position): Promise<Recorded | undefined>;
}

export interface ReadOptions {
  /** At most this many events a page. */
  readonly limit: number;
  readonly categories?: readonly string[];
  /** Streams whose events are wanted: others may be left out, undecoded. A page that is short proves nothing then. */
  readonly concerns?: (stream: StreamName) => boolean;
}

export interface LogPage {
  readonly events: readonly Recorded[];
  /** Nothing that matches was left out up to here; on an empty page it may lie after where the read began. */
  readonly scannedTo: Position;
}

export interface LogHead {
  readonly position: Position;
  readonly id: EventId;
  readonly recordedAt: Instant;
}

/**
 * What tells this log from any other: the id in its first event, `LedgerCreated`. The first event's own id
 * serves as well where it carries none. Undefined while the log is empty.
 */
export async function ledgerIdOf(log: LogReader): Promise<string | undefined> {
  const [first] = (await reading(() => log.readAll(START, { limit: 1 }))).events;
  if (first === undefined) return undefined;
  const { ledgerId } = first.data as { ledgerId?: unknown };
  return typeof ledgerId === 'string' ? ledgerId : first.id;
}

/**
 * Pages from `after` to where the log ends now, the next page being read while one is worked on. The last
 * page may be empty and only tell how far was scanned.
 */
export async function* pagesToHead(
  log: LogReader,
  after: Position,
  options: ReadOptions,
): AsyncGenerator<LogPage> {
  let position = after;
  let next = settled(log.readAll(position, options));
  for (;;) {
    const page = await reading(() => unsettled(next));
    // A short page is no proof of the end: an event that can not be read cuts a page as well.
    const ended = comparePositions(page.scannedTo, position) <= 0 && page.events.length === 0;
    if (ended) return;
    position = page.scannedTo;
    next = settled(log.readAll(position, options));
    yield page;
  }
}

/**
 * Runs a reading and sorts its failures: an event that can not be read, or a log that contradicts itself,
 * stops whoever reads; all others are expected to pass.
 */
export async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw readingFailure(error);
  }
}

export function readingFailure(error: unknown): Error {
  if (error instanceof MustStop || error instanceof LogFailed) return error;
  if (error instanceof LedgerCorrupt)
    return new MustStop(error.position, 'ledger-corrupt', error.reason);
  if (error instanceof CannotDecode)
    return new MustStop(error.position, 'cannot-decode', error.reason, error.stream);
  return new LogFailed(error);
}

/** An outcome as a value, so that a promise nobody waits for yet is never an unhandled rejection. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

export function settled<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

export async function unsettled<T>(outcome: Outcome<T> | Promise<Outcome<T>>): Promise<T> {
  const known = await outcome;
  if ('error' in known) throw known.error;
  return known.value;
}
