import type { EventFilter } from './event-filter.js';
import {
  afterEventTo,
  compareLogPositions,
  eventAt,
  FIRST,
  type LogPosition,
} from './log-position.js';
import type { LogRecord, ServerLog } from './server-log.js';

/** How many events the server takes from its log at once, and the window of a filter that names none. */
export const PAGE = 32;

export interface PageOptions {
  readonly filter: EventFilter;
  /** At most so many events. */
  readonly count: number;
  /** At most so many events looked at, whether they match or not. */
  readonly window: number;
}

export interface LogPage {
  readonly events: readonly LogRecord[];
  /** Where the page was asked for. */
  readonly from: LogPosition;
  readonly next: LogPosition;
  /** Whether there is nothing more to look at in this direction. */
  readonly atEnd: boolean;
  /** How many events were looked at. */
  readonly considered: number;
}

/** Where no record begins or ends, nothing can be read. */
export class InvalidPosition extends Error {
  override readonly name = 'InvalidPosition';
}

/** A page of the log with the event at `from`, if there is one, and what follows. */
export function pageForwards(log: ServerLog, from: LogPosition, options: PageOptions): LogPage {
  const last = log.records.at(-1)?.offset ?? 0n;
  // Behind the beginning of the last record the server does not look.
  if (from.commit <= last) checkBoundary(log, from);
  const { filter, count, window } = options;
  const events: LogRecord[] = [];
  let next = from;
  let considered = 0;
  let index = log.indexFrom(from.commit);
  for (; events.length < count && considered < window; index++) {
    const record = log.records[index];
    if (record === undefined) return { events, from, next, atEnd: true, considered };
    if (compareLogPositions(eventAt(record.offset), from) < 0) continue;
    considered++;
    if (filter(record)) events.push(record);
    next = afterEventTo(record.end);
  }
  return { events, from, next, atEnd: false, considered };
}

/** A page of the log with what lies before `from`, the latest first. */
export function pageBackwards(log: ServerLog, from: LogPosition, options: PageOptions): LogPage {
  checkBoundary(log, from);
  const { filter, count, window } = options;
  const events: LogRecord[] = [];
  let next = from;
  let considered = 0;
  let index = log.indexFrom(from.commit) - 1;
  for (; events.length < count && considered < window; index--) {
    const record = log.records[index];
    if (record === undefined) return { events, from, next, atEnd: true, considered };
    if (compareLogPositions(eventAt(record.end), from) > 0) continue;
    considered++;
    if (filter(record)) events.push(record);
    next = eventAt(record.offset);
  }
  return { events, from, next, atEnd: false, considered };
}

function checkBoundary(log: ServerLog, { commit }: LogPosition): void {
  if (commit === FIRST.commit || commit >= log.end) return;
  if (log.records[log.indexFrom(commit)]?.offset !== commit)
    throw new InvalidPosition(`no record begins at ${commit}`);
}
