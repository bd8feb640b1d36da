import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { categoryOf, streamOf, type SubjectId } from '#core/kernel/ids.js';
import { comparePositions, laterOf, type Position, START } from '#core/kernel/position.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { STORED_EVENTS, type StoredEvents } from './audit.tokens.js';

/** Which events a follower wants; absent: all. */
export interface Wanted {
  readonly types?: readonly string[];
  readonly subjectId?: SubjectId;
  /** Categories of streams that the caller may not see. */
  readonly hidden?: readonly string[];
}

/** What a follower is told: an event as stored with its position, or once that they have caught up. */
export type News =
  | { readonly position: Position; readonly event: { readonly type: string } }
  | { readonly position: Position; readonly caughtUp: true };

export interface Following {
  /** Where the log ended when it was asked for: up to here the follower catches up. */
  readonly head: Position;
  /** For ever, until `signal` aborts; what arrives together comes together. */
  news(signal: AbortSignal): AsyncIterable<readonly News[]>;
}

/** Every event after a position (exclusive), as it is recorded. */
export class FollowEvents extends Query<Following> {
  constructor(
    readonly after: Position,
    readonly wanted: Wanted = {},
  ) {
    super();
  }
}

const PAGE = 200;

@QueryHandler(FollowEvents)
export class FollowEventsHandler implements IQueryHandler<FollowEvents> {
  constructor(@Inject(STORED_EVENTS) private readonly log: StoredEvents) {}

  async execute({ after, wanted }: FollowEvents): Promise<Following> {
    const head = (await this.log.head())?.position ?? START;
    return { head, news: (signal) => newsOf(this.log, after, head, wanted, signal) };
  }
}

async function* newsOf(
  log: StoredEvents,
  after: Position,
  head: Position,
  { types, subjectId, hidden = [] }: Wanted,
  signal: AbortSignal,
): AsyncGenerator<readonly News[]> {
  const stream = subjectId && streamOf('subject', subjectId);
  const categories = stream && ['subject'];
  let catchingUp = comparePositions(after, head) < 0;
  if (!catchingUp) yield [{ position: after, caughtUp: true }];
  for await (const page of log.follow(after, { limit: PAGE, categories, signal })) {
    const news: News[] = page.events
      .filter((event) => stream === undefined || event.stream === stream)
      .filter((event) => !hidden.includes(categoryOf(event.stream)))
      .map(({ bytes, position }) => ({ position, event: eventIn(bytes, position) }))
      .filter(({ event }) => types === undefined || types.includes(event.type));
    if (catchingUp && comparePositions(page.scannedTo, head) >= 0) {
      catchingUp = false;
      // A place in the log where there is an event, so that it can be gone on from; nothing before it is left out.
      news.push({ position: laterOf(head, lastOf(page.events) ?? head), caughtUp: true });
    }
    if (news.length > 0) yield news;
  }
}

function lastOf(events: readonly StoredEvent[]): Position | undefined {
  return events.at(-1)?.position;
}

function eventIn(bytes: Uint8Array, position: Position): { readonly type: string } {
  const event = JSON.parse(Buffer.from(bytes).toString('utf8')) as { readonly type: string };
  return { ...event, position } as { readonly type: string };
}
