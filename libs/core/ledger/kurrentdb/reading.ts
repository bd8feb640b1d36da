import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { categoryOf, type StreamName } from '#core/kernel/ids.js';
import { comparePositions, laterOf, type Position, START } from '#core/kernel/position.js';
import type { PageAndEnd } from '../follow-log.js';
import type { ReadAllOptions, StoredEvent } from '../port.js';
import type { Connection } from './connection.js';
import { CutShort, isInvalidPosition } from './failure.js';
import type { LedgerClient } from './ledger-client.js';
import { allForwards, lastOfAll, oneOfAll, streamForwards } from './read-request.js';
import { storedEventIn } from './stored-event.js';

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
  /** Events of others among the answers. */
  foreign: number;
  /** Of the stream that was read, where the server said it. */
  lastRevision: number | undefined;
  notFound: boolean;
}

/** Reads streams and the log. Everything it says was so at some moment of the call. */
export class Reading {
  private nextHead: Promise<StoredEvent | undefined> | undefined;
  private runningHead: Promise<unknown> = Promise.resolve();

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
      const reading = this.read(lastOfAll(this.prefix), foundSome).then(({ events }) => events[0]);
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
    const found: StoredEvent[] = [];
    let from = after;
    while (comparePositions(from, head.position) < 0) {
      const fresh = await this.after(from, limit - found.length, prefixes);
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

  /** Some events after `after`; there must be one. */
  private async after(
    after: Position,
    count: number,
    prefixes: readonly string[],
  ): Promise<readonly StoredEvent[]> {
    const isLater = ({ position }: StoredEvent) => comparePositions(position, after) > 0;
    const read = async (from: Position, most: number): Promise<StoredEvent[]> => {
      // The first may be the one that lies at `from`.
      const request = allForwards(from, most + 1, prefixes);
      return (await this.read(request, ({ events }) => events.length > 0)).events;
    };
    try {
      const events = await read(after, count);
      if (events.some(isLater)) return events.filter(isLater);
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

  /** `isComplete`: what must hold of the answers to the n-th try, where the server ended them properly. */
  private read(
    request: ReadReq,
    isComplete: (answers: Found, tries: number) => boolean,
  ): Promise<Found> {
    let tries = 0;
    return this.connection.persist(this.deadline, async (client, until) => {
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
  return events.length + foreign > 0 || tries >= TRIES;
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
  const found: Found = { events: [], foreign: 0, lastRevision: undefined, notFound: false };
  const answers = await client.open(request, until);
  try {
    for await (const answer of answers as AsyncIterable<ReadResp>) {
      const event = answer.getEvent();
      const stored = event && storedEventIn(event, prefix);
      // An answer that comes twice is one answer.
      if (stored && stored.position === found.events.at(-1)?.position) continue;
      if (stored) found.events.push(stored);
      else if (event) found.foreign++;
      else if (answer.hasLastStreamPosition())
        found.lastRevision = Number(answer.getLastStreamPosition());
      else if (answer.hasStreamNotFound()) found.notFound = true;
    }
  } finally {
    answers.cancel();
  }
  return found;
}
