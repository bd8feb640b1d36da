import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { EVERYTHING, filterOf } from './event-filter.js';
import { eventAt, FIRST, type LogPosition } from './log-position.js';
import { type LogPage, PAGE, type PageOptions, pageBackwards, pageForwards } from './log-page.js';
import type { NodeView, SlowSearch } from './node-view.js';
import {
  eventMessage,
  lastStreamPositionMessage,
  nameIn,
  streamNotFoundMessage,
} from './read-messages.js';
import type { LogRecord, ServerLog } from './server-log.js';

const BACKWARDS = 1;

/** The log, and how long a search in it takes. */
export type Searched = Pick<NodeView, 'log' | 'slowSearch'>;

/** Everything the server answers to a read of one stream: what is there now, and an end. */
export function* readStream(log: ServerLog, options: ReadReq.Options): Iterable<ReadResp> {
  const asked = options.getStream();
  const name = nameIn(asked?.getStreamIdentifier());
  const records = log.stream(name);
  if (records.length === 0) return yield streamNotFoundMessage(name);
  const last = records.length - 1;
  const from = asked?.hasRevision() ? Number(asked.getRevision()) : asked?.hasEnd() ? last : 0;
  const found = isBackwards(options)
    ? records.slice(0, from + 1).reverse()
    : records.slice(from, records.length);
  for (const record of found.slice(0, countIn(options))) yield eventMessage(record);
  const compatibility = options.getControlOption()?.getCompatibility() ?? 0;
  if (compatibility >= 1 && !isBackwards(options)) yield lastStreamPositionMessage(BigInt(last));
}

/** Everything the server answers to a read of `$all`, taken from its log page by page as the answer goes out. */
export async function* readAll(
  { log, slowSearch }: Searched,
  options: ReadReq.Options,
): AsyncIterable<ReadResp> {
  const page = isBackwards(options) ? pageBackwards : pageForwards;
  let from = startOf(log, options);
  let left = countIn(options);
  for (let atEnd = false; !atEnd && left > 0;) {
    if (options.hasFilter() && slowSearch) await sleep(slowSearch.delayMs);
    const read: LogPage = page(log, from, pageOptions(options, Math.min(PAGE, left), slowSearch));
    yield* read.events.map(eventMessage);
    left -= read.events.length;
    ({ atEnd, next: from } = read);
  }
}

export function pageOptions(
  options: ReadReq.Options,
  count: number,
  slowSearch: SlowSearch | undefined,
): PageOptions {
  const filter = options.getFilter();
  if (!filter) return { filter: EVERYTHING, count, window: Number.MAX_SAFE_INTEGER };
  return { filter: filterOf(filter), count, window: windowOf(filter, slowSearch) };
}

export function windowOf(
  filter: ReadReq.Options.FilterOptions,
  slowSearch: SlowSearch | undefined,
): number {
  return Math.min(filter.hasMax() ? filter.getMax() : PAGE, slowSearch?.window ?? Infinity);
}

export function positionIn(options: ReadReq.Options): LogPosition | undefined {
  const asked = options.getAll()?.getPosition();
  if (!asked) return undefined;
  const [commit, prepare] = [asked.getCommitPosition(), asked.getPreparePosition()];
  return { commit: BigInt(commit), prepare: BigInt(prepare) };
}

export function lastOf(log: ServerLog): LogRecord | undefined {
  return log.records.at(-1);
}

function startOf(log: ServerLog, options: ReadReq.Options): LogPosition {
  return positionIn(options) ?? (options.getAll()?.hasEnd() ? eventAt(log.end) : FIRST);
}

export function isBackwards(options: ReadReq.Options): boolean {
  return options.getReadDirection() === BACKWARDS;
}

function countIn(options: ReadReq.Options): number {
  return Number(options.getCount());
}
