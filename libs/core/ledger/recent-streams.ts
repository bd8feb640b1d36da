import type { StreamName } from '#core/kernel/ids.js';
import type { StoredEvent } from './port.js';

/** Milliseconds. Little longer than what is read takes to be appended to on a busy machine: others seldom come in between. */
const KEPT = 1_000;

interface Entry {
  readonly events: readonly StoredEvent[];
  /** Milliseconds of the monotonic clock. */
  readonly expires: number;
}

/**
 * Streams that were appended to a moment ago, each whole from its first event, so that what comes next to one of them can be
 * decided on without reading it. Perhaps it went on since: an append behind what is known here is refused then.
 */
export class RecentStreams {
  /** In the order in which they were kept, the oldest first. */
  private readonly streams = new Map<StreamName, Entry>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  of(stream: StreamName): readonly StoredEvent[] | undefined {
    this.forgetExpired();
    return this.streams.get(stream)?.events;
  }

  keep(stream: StreamName, events: readonly StoredEvent[]): void {
    this.forgetExpired();
    this.streams.delete(stream);
    this.streams.set(stream, { events, expires: this.now() + KEPT });
  }

  get size(): number {
    return this.streams.size;
  }

  private forgetExpired(): void {
    const now = this.now();
    for (const [stream, { expires }] of this.streams) {
      if (expires > now) return;
      this.streams.delete(stream);
    }
  }
}
