import type { StreamName } from '#core/kernel/ids.js';
import { comparePositions, laterOf, type Position, START } from '#core/kernel/position.js';
import type { StoredEvent } from '../port.js';

/** So many bytes of events are kept at most: of about as many people as keys are kept of. */
const MOST = 40 << 20;

interface Seen {
  /** From the first on; the index is the revision. */
  readonly events: StoredEvent[];
  /** No other event of the stream lies up to here. */
  completeTo: Position;
}

/**
 * Streams as they were read lately, each from its first event. Whoever follows the log asks for the streams of a page as
 * they are at its end; the server reads one stream a call, and what it would bring has mostly just come along the log.
 * Who decides on a stream can begin with what is known of it.
 */
export class SeenStreams {
  /** In the order in which they grew, the oldest first. */
  private readonly streams = new Map<StreamName, Seen>();
  private bytes = 0;
  private last: Position = START;

  constructor(private readonly most = MOST) {}

  /**
   * Notes events in order: of each of their streams, all that lie between the first of them and `completeTo`. Those of a
   * stream whose beginning was not seen are of no use.
   */
  note(events: readonly StoredEvent[], completeTo: Position): void {
    for (const event of events) this.add(event, completeTo);
    for (const [stream] of this.streams) {
      if (this.bytes <= this.most) return;
      this.forget(stream);
    }
  }

  /** The latest position of an event that was noted. */
  get to(): Position {
    return this.last;
  }

  clear(): void {
    this.streams.clear();
    this.bytes = 0;
    this.last = START;
  }

  /** What is known of the stream, from its first event on; perhaps it went on since. */
  all(stream: StreamName): StoredEvent[] {
    return [...(this.streams.get(stream)?.events ?? [])];
  }

  /** The stream's events up to (inclusive) `position`; undefined where they are not known for certain. */
  upTo(stream: StreamName, position: Position): StoredEvent[] | undefined {
    const seen = this.streams.get(stream);
    if (!seen || comparePositions(position, seen.completeTo) > 0) return undefined;
    return seen.events.filter((event) => comparePositions(event.position, position) <= 0);
  }

  private add(event: StoredEvent, completeTo: Position): void {
    const { stream, revision, position, bytes } = event;
    this.last = laterOf(this.last, position);
    const seen = this.streams.get(stream) ?? { events: [], completeTo };
    const same = seen.events[revision];
    // Another log has taken this one's place.
    if (same && same.position !== position) return this.forget(stream);
    if (!same) {
      if (revision !== seen.events.length) return;
      seen.events.push(event);
      this.bytes += bytes.length;
      this.streams.delete(stream);
      this.streams.set(stream, seen);
    }
    seen.completeTo = laterOf(seen.completeTo, completeTo);
  }

  private forget(stream: StreamName): void {
    for (const { bytes } of this.streams.get(stream)?.events ?? []) this.bytes -= bytes.length;
    this.streams.delete(stream);
  }
}
