import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import {
  compareLogPositions,
  eventAt,
  laterOf,
  type LogPosition,
  NOTHING,
} from './log-position.js';
import { PAGE, type PageOptions, pageForwards } from './log-page.js';
import { lastOf, pageOptions, positionIn, type Searched, windowOf } from './read.js';
import {
  caughtUpMessage,
  checkpointMessage,
  confirmationMessage,
  eventMessage,
} from './read-messages.js';
import type { ServerLog } from './server-log.js';

/** How far a subscription may fall behind the log before it is served from the log's pages again. */
const LIVE = 32;

/**
 * What a catch-up subscription to `$all` hears, for ever: the confirmation, what is there after (exclusive) the
 * position asked for, that it caught up, and what comes.
 *
 * One with a filter also hears checkpoints, at least one for each `interval` of events that were looked at. They may be
 * positions at which no event lies. What was read last before it caught up is told by the beginning of that page, so
 * the newest checkpoint can lie behind what was looked at.
 */
export async function* subscription(
  { log, slowSearch }: Searched,
  options: ReadReq.Options,
  signal: AbortSignal,
): AsyncIterable<ReadResp> {
  const filter = options.getFilter();
  const following = new Following(
    log,
    filter ? (slowSearch?.delayMs ?? 0) : 0,
    pageOptions(options, PAGE, slowSearch),
    filter ? filter.getCheckpointintervalmultiplier() * windowOf(filter, slowSearch) : undefined,
    signal,
  );
  const last = eventAt(lastOf(log)?.offset ?? NOTHING.commit);
  const from = positionIn(options) ?? (options.getAll()?.hasEnd() ? last : NOTHING);
  yield confirmationMessage(randomUUID());
  yield* following.after(from, last);
}

class Following {
  private sent: LogPosition = NOTHING;
  private lastCheckpoint: LogPosition = NOTHING;
  /** Of the events that came since the subscription began: how many since the last checkpoint. */
  private considered = 0;

  constructor(
    private readonly log: ServerLog,
    /** Milliseconds before each page. */
    private readonly delayMs: number,
    private readonly page: PageOptions,
    private readonly interval: number | undefined,
    private readonly signal: AbortSignal,
  ) {}

  async *after(from: LogPosition, last: LogPosition): AsyncIterable<ReadResp> {
    this.sent = from;
    if (compareLogPositions(from, last) < 0) yield* this.catchUp();
    for (;;) {
      yield caughtUpMessage();
      yield* this.live();
      if (this.signal.aborted) return;
      yield* this.catchUp();
    }
  }

  private async *catchUp(): AsyncIterable<ReadResp> {
    let from =
      compareLogPositions(this.sent, NOTHING) === 0 ? { commit: 0n, prepare: 0n } : this.sent;
    for (let counted = 0; ;) {
      if (this.delayMs > 0) await sleep(this.delayMs);
      const page = pageForwards(this.log, from, this.page);
      for (const record of page.events) {
        const position = eventAt(record.offset);
        if (compareLogPositions(position, this.sent) <= 0) continue;
        this.sent = position;
        yield eventMessage(record);
      }
      counted += page.considered;
      const due = this.interval !== undefined && counted >= this.interval;
      if (page.atEnd || due) {
        this.sent = laterOf(this.sent, page.from);
        yield* this.checkpoint();
      }
      if (page.atEnd) return;
      if (this.interval !== undefined) counted %= this.interval;
      from = page.next;
    }
  }

  /** Ends where more came than a subscription keeps, or by the signal. */
  private async *live(): AsyncIterable<ReadResp> {
    let next = this.log.indexFrom(this.sent.commit);
    while (!this.signal.aborted) {
      if (this.log.records.length - next > LIVE) return yield* this.checkpoint();
      const record = this.log.records[next];
      if (record === undefined) {
        await this.log.grown(this.signal);
        continue;
      }
      next++;
      const position = eventAt(record.offset);
      if (compareLogPositions(position, this.sent) <= 0) continue;
      if (this.page.filter(record)) {
        this.sent = position;
        yield eventMessage(record);
      }
      if (this.interval === undefined || ++this.considered < this.interval) continue;
      this.considered = 0;
      this.sent = position;
      yield* this.checkpoint();
    }
  }

  private *checkpoint(): Iterable<ReadResp> {
    if (this.interval === undefined) return;
    if (compareLogPositions(this.sent, this.lastCheckpoint) <= 0) return;
    this.lastCheckpoint = this.sent;
    yield checkpointMessage(this.sent);
  }
}
