import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { categoryOf, type StreamName } from '#core/kernel/ids.js';
import { comparePositions, laterOf, type Position, START } from '#core/kernel/position.js';
import type { PageAndEnd } from '../follow-log.js';
import { LedgerUnavailable, type ReadAllOptions, type StoredEvent } from '../port.js';
import type { Connection } from './connection.js';
import { CutShort, isInvalidPosition, isLate } from './failure.js';
import type { LedgerClient } from './ledger-client.js';
import {
  allForwards,
  lastOf,
  lastOfAll,
  type LogPosition,
  oneOfAll,
  placeOf,
  streamForwards,
} from './read-request.js';
import { sift, type Sifted, type Sought } from './sift.js';
import { type ForeignEvent, foreignEventIn, storedEventIn } from './stored-event.js';

/** The largest position of the server. */
const LAST = '9223372036854775807' as Position;

/** So many events are asked for at once: a read of any length makes progress within its deadline. */
const MOST = 2_000;

/** So many streams are read at the same time. */
const LANES = 16;

/** A read that found nothing is made so often before that is believed: an answer that was cut off finds nothing too. */
const TRIES = 3;

/** What one read brought. */
interface Found {
  readonly events: StoredEvent[];
  /** The last among the answers that is of others. */
  foreign: ForeignEvent | undefined;
  /** Of the stream that was read, where the server said it. */
  lastRevision: number | undefined;
  notFound: boolean;
}

/** A way along the log to what matches. */
interface Search extends Pick<Sought, 'prefixes' | 'end'> {
  /** Whether so little of the log matches that the server looked for it longer than a read may take. */
  isLong: boolean;
}

/** Reads streams and the log. Everything it says was so at some moment of the call. */
export class Reading {
  private nextHead: Promise<StoredEvent | undefined> | undefined;
  private runningHead: Promise<unknown> = Promise.resolve();
  /** When a long search last came further, of `performance.now()`. */
  private moved = -Infinity;

  /**
   * `deadline`: milliseconds after which a read is given up. `startBefore`: the position of an event at or
   * before a given one, as near as is known; START otherwise.
   */
  constructor(
    private readonly connection: Connection,
    private readonly prefix: string,
    private readonly deadline: number,
    private readonly startBefore: (position: Position) => Promise<Position>,
  ) {}

  get movedAt(): number {
    return this.moved;
  }

  /** A stream's events in order; up to and including `upTo`, and at most `limit`, where given. */
  async stream(
    stream: StreamName,
    fromRevision: number,
    { upTo = LAST, limit = Infinity }: { upTo?: Position; limit?: number } = {},
  ): Promise<StoredEvent[]> {
    const found: StoredEvent[] = [];
    for (let from = fromRevision; ;) {
      const request = streamForwards(
        this.prefix + stream,
        from,
        Math.min(MOST, limit - found.length),
      );
      const { events, lastRevision, notFound } = await this.read(request, isWhole);
      for (const event of events) {
        if (comparePositions(event.position, upTo) > 0) return found;
        found.push(event);
      }
      from += events.length;
      if (notFound || events.length === 0 || from > (lastRevision ?? -1)) return found;
      if (found.length >= limit) return found;
    }
  }

  /** Several streams; an entry for each. */
  async streams(
    streams: readonly StreamName[],
    upTo: Position | undefined,
  ): Promise<Map<StreamName, StoredEvent[]>> {
    const found = new Map<StreamName, StoredEvent[]>(streams.map((stream) => [stream, []]));
    const open = [...found.keys()];
    const lane = async () => {
      for (let stream = open.pop(); stream !== undefined; stream = open.pop())
        found.set(stream, await this.stream(stream, 0, { upTo }));
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return found;
  }

  /**
   * The log's last event. Calls that come while one is under way share the next: each is answered by a read
   * that began after it was made.
   */
  head(): Promise<StoredEvent | undefined> {
    this.nextHead ??= this.runningHead.then(() => {
      this.nextHead = undefined;
      const reading = this.readHead();
      this.runningHead = reading.catch(() => undefined);
      return reading;
    });
    return this.nextHead;
  }

  /** The event at exactly this position. */
  async at(position: Position): Promise<StoredEvent | undefined> {
    if (position === START || comparePositions(position, LAST) > 0) return undefined;
    try {
      const { events } = await this.read(oneOfAll(position), foundSome);
      return events[0]?.position === position ? events[0] : undefined;
    } catch (error) {
      if (isInvalidPosition((error as Error).cause)) return undefined;
      throw error;
    }
  }

  /**
   * A page of the log as the port has it, up to `head`, which was its last event a moment ago.
   *
   * A read that the server ends early looks like one that found all there was. So the log's last event is
   * known first, and is asked for as well, whichever category it is of: where it comes, nothing
   * before it was left out.
   */
  async page(
    after: Position,
    { limit, categories }: ReadAllOptions,
    head: StoredEvent,
  ): Promise<PageAndEnd> {
    const prefixes = categories
      ? [...categories.map((category) => `${category}-`), head.stream].map(
          (name) => this.prefix + name,
        )
      : [this.prefix];
    const search: Search = { prefixes, end: head.position, isLong: false };
    const found: StoredEvent[] = [];
    let from = after;
    while (comparePositions(from, head.position) < 0) {
      const fresh = await this.after(from, limit - found.length, search);
      for (const event of fresh) {
        from = event.position;
        if (!isOf(event, categories)) continue;
        found.push(event);
        if (found.length === limit)
          return { events: found, scannedTo: from, end: laterOf(from, head.position) };
      }
    }
    return {
      events: found,
      scannedTo: from,
      end: laterOf(found.at(-1)?.position ?? START, head.position),
    };
  }

  /** The last event of ours: where the log's last is one, without a search. */
  private async readHead(): Promise<StoredEvent | undefined> {
    const { events, foreign } = await this.read(lastOfAll(), foundSome);
    if (events[0] || !foreign) return events[0];
    const search = this.read(lastOf(this.prefix), foundSome, this.deadline / 3);
    const before = await search.catch((error: unknown) => {
      // Or it ended with nothing, and no time was left to make it as often as that is believed.
      const { cause } = error as Error;
      if (isLate(cause) || cause instanceof CutShort) return undefined;
      throw error;
    });
    return before?.events[0] ?? (await this.lastUpTo(foreign));
  }

  /** The same along the whole log, where nothing was found from its end within the time that a read may take. */
  private async lastUpTo(end: ForeignEvent): Promise<StoredEvent | undefined> {
    const { name, position } = end;
    const search: Search = { prefixes: [this.prefix, name], end: position, isLong: true };
    let last: StoredEvent | undefined;
    for (let from = START; ;) {
      const { events, foreign } = await this.some(placeAt(from), MOST, search);
      last = events.at(-1) ?? last;
      if (foreign && comparePositions(foreign.position, position) >= 0) return last;
      const next = laterOf(last?.position ?? START, foreign?.position ?? START);
      if (next === from) throw new LedgerUnavailable(new CutShort().message);
      from = next;
    }
  }

  /** Some events after `after`; there must be one. */
  private async after(
    after: Position,
    count: number,
    search: Search,
  ): Promise<readonly StoredEvent[]> {
    const isLater = ({ position }: StoredEvent) => comparePositions(position, after) > 0;
    const read = async (from: Position, most: number): Promise<readonly StoredEvent[]> => {
      // The first may be the one that lies at `from`.
      return (await this.some(placeAt(from), most + 1, search)).events;
    };
    try {
      const events = await read(after, count);
      if (events.some(isLater)) return events.filter(isLater).slice(0, count);
    } catch (error) {
      if (!isInvalidPosition((error as Error).cause)) throw error;
    }
    // No event begins there: somebody made that position up. Those that follow it do count from there.
    for (let from = await this.startBefore(after); ;) {
      const events = await read(from, MOST);
      if (events.some(isLater)) return events.filter(isLater).slice(0, count);
      from = events.at(-1)?.position ?? from;
    }
  }

  /**
   * At most `count` events from `from` on, the one that lies there perhaps among them; there must be one. A read tells
   * nothing of what it passes over: where it has no answer in time, a subscription goes on, for as long as it takes.
   */
  private async some(
    from: LogPosition | undefined,
    count: number,
    search: Search,
  ): Promise<Omit<Sifted, 'place'>> {
    const { prefixes, end } = search;
    let place = from;
    let isUnanswered = false;
    for (;;) {
      const found = await this.connection.persist(this.deadline, async (client, until) => {
        search.isLong ||= isUnanswered;
        isUnanswered = true;
        try {
          if (search.isLong)
            return await sift(
              client,
              { after: place, end, count, prefixes },
              until,
              this.prefix,
              () => (this.moved = performance.now()),
            );
          const answers = await collect(
            client,
            allForwards(place, count, prefixes),
            until,
            this.prefix,
          );
          if (answers.events.length > 0 || answers.foreign) return { ...answers, place };
          throw new CutShort();
        } catch (error) {
          isUnanswered = isLate(error);
          throw error;
        }
      });
      if (found.events.length > 0 || found.foreign) return found;
      place = found.place;
      isUnanswered = false;
    }
  }

  /** `isComplete`: what must hold of the answers to the n-th try, where the server ended them properly. */
  private read(
    request: ReadReq,
    isComplete: (answers: Found, tries: number) => boolean,
    deadline = this.deadline,
  ): Promise<Found> {
    let tries = 0;
    return this.connection.persist(deadline, async (client, until) => {
      const answers = await collect(client, request, until, this.prefix);
      if (!isComplete(answers, ++tries)) throw new CutShort();
      return answers;
    });
  }
}

function isWhole({ lastRevision, notFound }: Found): boolean {
  return notFound || lastRevision !== undefined;
}

function foundSome({ events, foreign }: Found, tries: number): boolean {
  return events.length > 0 || foreign !== undefined || tries >= TRIES;
}

function placeAt(position: Position): LogPosition | undefined {
  return position === START ? undefined : placeOf(position);
}

function isOf({ stream }: StoredEvent, categories: readonly string[] | undefined): boolean {
  return !categories || categories.includes(categoryOf(stream));
}

async function collect(
  client: LedgerClient,
  request: ReadReq,
  until: number,
  prefix: string,
): Promise<Found> {
  const found: Found = {
    events: [],
    foreign: undefined,
    lastRevision: undefined,
    notFound: false,
  };
  const answers = await client.open(request, until);
  try {
    for await (const answer of answers as AsyncIterable<ReadResp>) {
      client.heard();
      const event = answer.getEvent();
      const stored = event && storedEventIn(event, prefix);
      // An answer that comes twice is one answer.
      if (stored && stored.position === found.events.at(-1)?.position) continue;
      if (stored) found.events.push(stored);
      else if (event) found.foreign = foreignEventIn(event);
      else if (answer.hasLastStreamPosition())
        found.lastRevision = Number(answer.getLastStreamPosition());
      else if (answer.hasStreamNotFound()) found.notFound = true;
    }
  } finally {
    answers.cancel();
  }
  return found;
}
