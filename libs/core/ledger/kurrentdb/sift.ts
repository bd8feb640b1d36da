import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { comparePositions, type Position } from '#core/kernel/position.js';
import type { StoredEvent } from '../port.js';
import { CutShort } from './failure.js';
import type { LedgerClient } from './ledger-client.js';
import { checkpointIn, type LogPosition, placeOf, subscription } from './read-request.js';
import { type ForeignEvent, foreignEventIn, storedEventIn } from './stored-event.js';

/** What is looked for along the log. */
export interface Sought {
  /** Exclusive. */
  readonly after: LogPosition | undefined;
  /** Of an event that matches, behind which nothing is looked for. */
  readonly end: Position;
  /** At most so many events. */
  readonly count: number;
  /** What the streams' names begin with. */
  readonly prefixes: readonly string[];
}

export interface Sifted {
  readonly events: readonly StoredEvent[];
  /** The last among what was found that is of others. */
  foreign: ForeignEvent | undefined;
  /** Nothing that matches was left out up to here. */
  place: LogPosition | undefined;
}

/**
 * What is found in half of the time until `until` (milliseconds since 1970); perhaps nothing, but further on. By a
 * subscription, since that alone says how far the server has looked while nothing matches. `onMove` is called each time
 * it comes further.
 */
export async function sift(
  client: LedgerClient,
  { after, end, count, prefixes }: Sought,
  until: number,
  prefix: string,
  onMove: () => void,
): Promise<Sifted> {
  const events: StoredEvent[] = [];
  const sifted: Sifted = { events, foreign: undefined, place: after };
  const answers = await client.open(subscription(after, prefixes), until);
  let isTime = false;
  // Where nothing more comes nobody would look at the clock.
  const stopInTime = () => {
    isTime = true;
    if (isFurther(sifted, after)) answers.cancel();
  };
  const timer = setTimeout(stopInTime, (until - Date.now()) / 2);
  try {
    for await (const answer of answers as AsyncIterable<ReadResp>) {
      client.heard();
      const event = answer.getEvent();
      const stored = event && storedEventIn(event, prefix);
      // An answer that comes twice is one answer.
      if (stored && stored.position === events.at(-1)?.position) continue;
      if (stored) events.push(stored);
      else if (event) sifted.foreign = foreignEventIn(event) ?? sifted.foreign;
      sifted.place = stored ? placeOf(stored.position) : (checkpointIn(answer) ?? sifted.place);
      if (!isFurther(sifted, after)) continue;
      onMove();
      const last = stored ?? sifted.foreign;
      if (last && comparePositions(last.position, end) >= 0) break;
      if (isTime || events.length === count) break;
    }
  } catch (error) {
    if (!isTime || !isFurther(sifted, after)) throw error;
  } finally {
    clearTimeout(timer);
    answers.cancel();
  }
  if (!isFurther(sifted, after)) throw new CutShort();
  return sifted;
}

/** A subscription that has looked at its first page says that it is where it began. */
function isFurther({ place, foreign }: Sifted, after: LogPosition | undefined): boolean {
  if (foreign) return true;
  return place !== undefined && (place.commit !== after?.commit || place.prepare !== after.prepare);
}
