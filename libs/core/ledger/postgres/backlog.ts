import type { AppendRequest } from '../port.js';

/** A request that waits, and since when (milliseconds of `performance.now()`). */
export interface Waiting {
  readonly request: AppendRequest;
  readonly since: number;
}

/** What travels in one transaction at most. A single request may be larger and then goes alone. */
const MOST_EVENTS = 1_000;
const MOST_BYTES = 1 << 20;

/**
 * Bulk work is cut so that a transaction of it takes about 20 ms on this machine, as measured: an online
 * request that just missed one is then recorded well within 50 ms. Of less than the fewest a transaction takes
 * no shorter: what lasts is then the way there and back and the disk, not the events (0.08 ms each).
 */
const BULK_MILLISECONDS = 20;
const [FEWEST_BULK_EVENTS, FIRST_BULK_EVENTS] = [128, 256];

/** Under unbroken online load, bulk work that waited this long (milliseconds) gets a small place beside it. */
const BULK_PATIENCE = 200;

/** Requests that wait for the next transaction: online before bulk, first come first served in each. */
export class Backlog<W extends Waiting> {
  private readonly online: W[] = [];
  private readonly bulk: W[] = [];
  private bulkEvents = FIRST_BULK_EVENTS;

  add(waiting: W): void {
    (waiting.request.bulk ? this.bulk : this.online).push(waiting);
  }

  get isEmpty(): boolean {
    return this.online.length === 0 && this.bulk.length === 0;
  }

  /** Takes the next group out, at least one request where there is any. No event is in a group twice. */
  next(now: number): W[] {
    const group = new Group<W>();
    group.take(this.online, MOST_EVENTS);
    const [longestBulk] = this.bulk;
    if (group.members.length === 0) group.take(this.bulk, this.bulkEvents);
    else if (longestBulk && now - longestBulk.since > BULK_PATIENCE)
      group.take(this.bulk, group.events + Math.ceil(this.bulkEvents / 4));
    return group.members;
  }

  /** Learns how much bulk work fits into the time it may take. */
  took(group: readonly W[], milliseconds: number): void {
    const events = group.reduce((sum, { request }) => sum + request.events.length, 0);
    if (!group.every(({ request }) => request.bulk)) return;
    if (milliseconds > BULK_MILLISECONDS)
      this.bulkEvents = Math.max(FEWEST_BULK_EVENTS, Math.floor(this.bulkEvents / 2));
    else if (milliseconds < BULK_MILLISECONDS / 2 && events > this.bulkEvents / 2)
      this.bulkEvents = Math.min(MOST_EVENTS, Math.ceil(this.bulkEvents * 1.25));
  }

  /** Takes out whatever waits since before `moment`. */
  expired(moment: number): W[] {
    return [this.online, this.bulk].flatMap((queue) => {
      const fresh = queue.findIndex(({ since }) => since >= moment);
      return queue.splice(0, fresh === -1 ? queue.length : fresh);
    });
  }

  takeAll(): W[] {
    return [...this.online.splice(0), ...this.bulk.splice(0)];
  }
}

class Group<W extends Waiting> {
  readonly members: W[] = [];
  events = 0;
  private bytes = 0;
  private readonly ids = new Set<string>();

  /** Takes from the front of `queue` until the group has `mostEvents` or something does not fit in. */
  take(queue: W[], mostEvents: number): void {
    let taken = 0;
    for (const waiting of queue) {
      if (!this.admits(waiting.request, mostEvents)) break;
      this.members.push(waiting);
      taken++;
    }
    queue.splice(0, taken);
  }

  private admits({ events }: AppendRequest, mostEvents: number): boolean {
    const bytes = events.reduce((sum, { content }) => sum + content.length, 0);
    const fits = this.events + events.length <= mostEvents && this.bytes + bytes <= MOST_BYTES;
    if (this.members.length > 0 && !fits) return false;
    // The repetition of an event must find the first one stored.
    if (events.some(({ id }) => this.ids.has(id))) return false;
    for (const { id } of events) this.ids.add(id);
    this.events += events.length;
    this.bytes += bytes;
    return true;
  }
}
