import { createHash } from 'node:crypto';
import { binaryEvent, type BinaryEventData } from '@eventstore/db-client';
import { idFrom, type StreamName } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { parsePosition, type Position, START } from '#core/kernel/position.js';
import { placedIn } from '../content.js';
import { inTime } from '../in-time.js';
import { InTurn } from '../in-turn.js';
import {
  type Appended,
  type AppendRequest,
  EventIdReused,
  LedgerCorrupt,
  LedgerUnavailable,
  type NewEvent,
  OutcomeUnknown,
  type StoredEvent,
  WrongExpectedRevision,
} from '../port.js';
import { isAsExpected, repetitionOf, type Twin } from '../repetition.js';
import { type Connection, Retry } from './connection.js';
import { failureOf, reasonOf, TimedOut } from './failure.js';
import type { KnownIds } from './known-ids.js';
import type { Reading } from './reading.js';
import type { SeenStreams } from './seen-streams.js';

/** So many appends of bulk work are under way at once: an online one never waits for more. */
const BULK_LANES = 8;

/** What is known of an append while it is under way. */
interface Underway {
  readonly request: AppendRequest;
  /** Of `performance.now()`. */
  readonly until: number;
  /** Whether something was sent whose fate is not known. */
  mayHaveWritten: boolean;
}

interface StoredTwin extends Twin {
  readonly position: Position;
  readonly recordedAt: Instant;
}

/**
 * Appends, every one of them at an exact revision: only there does the server compare what it is given
 * with what it holds, for ever. The id it knows an event by is made of the bytes that are stored, so that
 * what it takes for a repetition is one to the last bit; a success is therefore always of what was asked
 * for, and whatever was stored at another time or with other content is a conflict, which is looked into.
 *
 * An attempt whose answer was lost is made again with the same bytes at the same revision: it is found
 * stored or is stored now, and where somebody else came first the lost attempt can not succeed any more.
 */
export class Appends {
  private readonly turns = new InTurn<StreamName>();
  private readonly bulk = new InTurn<number>();
  private bulkAppends = 0;

  /** `deadline`: milliseconds after which every append has an answer. */
  constructor(
    private readonly connection: Connection,
    private readonly reading: Reading,
    private readonly known: KnownIds,
    private readonly seen: SeenStreams,
    private readonly prefix: string,
    private readonly deadline: number,
    private readonly clock: Clock,
  ) {}

  append(request: AppendRequest): Promise<Appended> {
    const until = performance.now() + this.deadline;
    const underway: Underway = { request, until, mayHaveWritten: false };
    const late = () => new TimedOut(this.deadline);
    const inTurn = () => this.turns.run(request.stream, () => this.decide(underway));
    const deciding = request.bulk
      ? this.bulk.run(this.bulkAppends++ % BULK_LANES, inTurn)
      : inTurn();
    return inTime(deciding, this.deadline, late).catch((error: unknown) => {
      throw failed(underway, error);
    });
  }

  private async decide(underway: Underway): Promise<Appended> {
    // Its caller was told no while it waited: those behind it need not wait for what it would read.
    if (performance.now() >= underway.until) throw new TimedOut(this.deadline);
    const { stream, expected, events } = underway.request;
    let last = this.presumedLast(underway.request);
    let stored = events.some(({ id }) => this.known.has(stream, id));
    for (;;) {
      const written = last !== 'unknown' && !stored ? await this.write(underway, last) : undefined;
      if (written) return written;
      let seen = await this.look(underway.request);
      if (seen.last === last && !seen.stored && !stored) {
        // Refused where the stream is known to end: the log has lost what is known of it.
        this.known.forget(stream);
        seen = await this.look(underway.request);
      }
      if (seen.stored) {
        const repeated = await this.repeated(underway.request);
        if (repeated) return repeated;
        // What was known of the stream is not there any more: the log was replaced.
        this.known.forget(stream);
      } else if (!isAsExpected(expected, seen.last))
        throw new WrongExpectedRevision(stream, expected, seen.last);
      [last, stored] = [seen.last, false];
    }
  }

  /** The stream's last revision, as far as the request and what is known of its ids tell. */
  private presumedLast({ stream, expected }: AppendRequest): number | undefined | 'unknown' {
    switch (expected.kind) {
      case 'none':
        return undefined;
      case 'exact':
        return this.known.size(stream) > expected.revision ? expected.revision : 'unknown';
      case 'exists':
      case 'any':
        return 'unknown';
    }
  }

  /** Where the stream ends, and whether it holds any of these ids. */
  private async look({
    stream,
    events,
  }: AppendRequest): Promise<{ last: number | undefined; stored: boolean }> {
    const size = this.known.size(stream);
    const fresh = await this.reading.stream(stream, size);
    this.known.note(stream, fresh);
    const ids = new Set(fresh.map(({ bytes }) => placedIn(bytes)?.id));
    return {
      last: fresh.at(-1)?.revision ?? (size === 0 ? undefined : size - 1),
      stored: events.some(({ id }) => ids.has(id) || this.known.has(stream, id)),
    };
  }

  private async repeated(request: AppendRequest): Promise<Appended | undefined> {
    const ids = new Set(request.events.map(({ id }) => id));
    const twins = new Map<string, StoredTwin>();
    for (const { bytes, revision, position } of await this.reading.stream(request.stream, 0)) {
      const placed = placedIn(bytes);
      if (!placed || !ids.has(placed.id)) continue;
      const { recordedAt } = placed;
      twins.set(placed.id, { revision, position, recordedAt, digest: placed.digest() });
    }
    const found = repetitionOf(
      request,
      request.events.map(({ id }) => twins.get(id)),
    );
    const last = found?.at(-1);
    if (!found || !last) return undefined;
    const { revision, position, recordedAt } = last;
    return { revision, position, recordedAt, events: found.map(placeOf), repeated: true };
  }

  /** Writes behind revision `last`; undefined where the stream does not end there. */
  private async write(underway: Underway, last: number | undefined): Promise<Appended | undefined> {
    const { stream, events } = underway.request;
    const recordedAt = this.clock.now();
    const first = (last ?? -1) + 1;
    const proposed = events.map((event, index) => proposal(event, recordedAt, first + index));
    const { revision, position } = (await this.send(underway, proposed, last)) ?? {};
    if (revision === undefined || position === undefined) return undefined;
    if (revision !== first + events.length - 1)
      throw new LedgerCorrupt(position, `${stream} goes on at ${revision}, not behind ${last}`);
    const places = await this.placesOf(stream, first, revision, position);
    const written = places.map((place, index) => ({
      stream,
      ...place,
      bytes: (proposed[index] as BinaryEventData).data,
    }));
    this.seen.note(written, position);
    this.known.add(
      stream,
      first,
      events.map(({ id }) => id),
    );
    return { revision, position, recordedAt, events: places, repeated: false };
  }

  /** Until there is an answer: where the last of the events lies, or undefined for a conflict. */
  private async send(
    underway: Underway,
    proposed: BinaryEventData[],
    last: number | undefined,
  ): Promise<{ revision: number; position: Position } | undefined> {
    const name = this.prefix + underway.request.stream;
    let lost = false;
    for (const retry = new Retry(underway.until); ;) {
      try {
        // Nothing is written after the caller was told that nothing was.
        if (this.connection.closed) throw new LedgerUnavailable('the ledger is closed');
        if (performance.now() >= underway.until) throw new TimedOut(this.deadline);
        underway.mayHaveWritten = true;
        const { revision, position } = await this.connection.attempt(
          underway.until - performance.now(),
          (client, until) => client.write(name, proposed, last, until),
        );
        return { revision, position: parsePosition(position) ?? START };
      } catch (error) {
        const failure = failureOf(error);
        lost ||= underway.mayHaveWritten && failure === 'lost';
        underway.mayHaveWritten = lost;
        if (failure === 'conflict') return undefined;
        if (failure === 'refused' || !(await retry.wait(this.connection.closing))) throw error;
      }
    }
  }

  /** The server tells the place of the last event only. */
  private async placesOf(
    stream: StreamName,
    first: number,
    last: number,
    position: Position,
  ): Promise<Appended['events']> {
    if (first === last) return [{ revision: last, position }];
    return (await this.reading.stream(stream, first, { upTo: position })).map(placeOf);
  }
}

/** What to tell the caller where an append ended without an answer of the store's own. */
function failed({ mayHaveWritten }: Underway, error: unknown): unknown {
  if (error instanceof WrongExpectedRevision || error instanceof EventIdReused) return error;
  if (error instanceof LedgerCorrupt || error instanceof TypeError) return error;
  const why = reasonOf(error);
  return mayHaveWritten
    ? new OutcomeUnknown(why, { cause: error })
    : new LedgerUnavailable(why, { cause: error });
}

function proposal(
  { type, content }: NewEvent,
  recordedAt: Instant,
  revision: number,
): BinaryEventData {
  return proposed(type, content.at(recordedAt, revision));
}

/** An event as the server is given it, under an id that only these bytes have. */
export function proposed(type: string, data: Buffer): BinaryEventData {
  const hash = createHash('sha256').update(data).digest();
  return binaryEvent({ id: idFrom('evt', hash, 8).slice('evt_'.length), type, data });
}

function placeOf({ revision, position }: Pick<StoredEvent, 'revision' | 'position'>): {
  revision: number;
  position: Position;
} {
  return { revision, position };
}
