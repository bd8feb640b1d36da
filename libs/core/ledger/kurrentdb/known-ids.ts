import type { EventId, StreamName } from '#core/kernel/ids.js';
import { placedIn } from '../content.js';
import type { StoredEvent } from '../port.js';

/** So many ids are kept in all, some 100 bytes each, and of one stream at most. */
const [MOST, MOST_OF_ONE] = [200_000, 100_000];

/**
 * Which ids the streams hold that were read or written last, each from its beginning: at a person's own
 * stream the server compares ids only where the append would lie, and an id must not come twice anywhere.
 */
export class KnownIds {
  /** In order of use, the oldest first. The index is the revision. */
  private readonly streams = new Map<StreamName, (EventId | undefined)[]>();
  private count = 0;

  /** `most`: ids kept in all; `mostOfOne`: of a stream that is longer nothing is kept. */
  constructor(
    private readonly most = MOST,
    private readonly mostOfOne = MOST_OF_ONE,
  ) {}

  /** How many revisions are known of the stream, from 0. */
  size(stream: StreamName): number {
    return this.streams.get(stream)?.length ?? 0;
  }

  has(stream: StreamName, id: EventId): boolean {
    return this.streams.get(stream)?.includes(id) ?? false;
  }

  /** Notes events that follow each other; of no use where those before the first are not known. */
  note(stream: StreamName, events: readonly StoredEvent[]): void {
    const [first] = events;
    if (first)
      this.add(
        stream,
        first.revision,
        events.map(({ bytes }) => placedIn(bytes)?.id),
      );
  }

  forget(stream: StreamName): void {
    this.count -= this.size(stream);
    this.streams.delete(stream);
  }

  add(stream: StreamName, fromRevision: number, ids: readonly (EventId | undefined)[]): void {
    const known = this.streams.get(stream) ?? [];
    if (fromRevision > known.length) return;
    const fresh = ids.slice(known.length - fromRevision);
    this.streams.delete(stream);
    this.count -= known.length;
    if (known.length + fresh.length > this.mostOfOne) return;
    known.push(...fresh);
    this.streams.set(stream, known);
    this.count += known.length;
    for (const [oldest, { length }] of this.streams) {
      if (this.count <= this.most) break;
      this.streams.delete(oldest);
      this.count -= length;
    }
  }
}
