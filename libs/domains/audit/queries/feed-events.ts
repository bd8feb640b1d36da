import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { categoryOf } from '#core/kernel/ids.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { STORED_EVENTS, type StoredEvents } from './audit.tokens.js';

/** A part of the log, as it is stored. */
export interface Feed {
  /** Where it ends: the head when it was asked for. */
  readonly head: Position;
  /** Lines of JSON, many in one piece: every envelope as stored, and its position. Memory holds one page. */
  lines(): AsyncIterable<Uint8Array>;
}

/** Every event after a position (exclusive), up to where the log ends now; of some stream categories only. */
export class FeedEvents extends Query<Feed> {
  constructor(
    readonly after: Position,
    readonly categories?: readonly string[],
    /** Categories that the caller may not see. */
    readonly hidden: readonly string[] = [],
  ) {
    super();
  }
}

/** At most 60,000 bytes each. */
const PAGE = 500;

@QueryHandler(FeedEvents)
export class FeedEventsHandler implements IQueryHandler<FeedEvents> {
  constructor(@Inject(STORED_EVENTS) private readonly log: StoredEvents) {}

  async execute({ after, categories, hidden }: FeedEvents): Promise<Feed> {
    const head = (await this.log.head())?.position ?? START;
    return { head, lines: () => linesOf(this.log, after, head, { categories, hidden }) };
  }
}

async function* linesOf(
  log: StoredEvents,
  after: Position,
  head: Position,
  { categories, hidden }: Pick<FeedEvents, 'categories' | 'hidden'>,
): AsyncGenerator<Uint8Array> {
  for (let from = after; comparePositions(from, head) < 0;) {
    const { events, scannedTo } = await log.readAll(from, { limit: PAGE, categories });
    const asked = events.filter(({ position }) => comparePositions(position, head) <= 0);
    const shown = asked.filter(({ stream }) => !hidden.includes(categoryOf(stream)));
    if (shown.length > 0) yield Buffer.concat(shown.flatMap(lineOf));
    // What comes after the head has come since.
    if (asked.length < events.length || scannedTo === from) return;
    from = scannedTo;
  }
}

/** The stored bytes are a JSON object without a position; it is put in at the end, and all else is left alone. */
function lineOf({ bytes, position }: StoredEvent): readonly Uint8Array[] {
  return [bytes.subarray(0, -1), Buffer.from(`,"position":"${position}"}\n`)];
}
