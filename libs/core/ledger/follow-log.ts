import { setTimeout as sleep } from 'node:timers/promises';
import { comparePositions, type Position } from '#core/kernel/position.js';
import { LedgerCorrupt, LedgerUnavailable, type Page, type ReadAllOptions } from './port.js';
import type { WakeUp } from './wake-up.js';

/** How an adapter that can read pages follows its log. All times in milliseconds. */
export interface Followed {
  readPage(after: Position, options: ReadAllOptions): Promise<PageAndEnd>;
  readonly wakeUp: WakeUp;
  /** Without any wake-up it is looked again after this. */
  readonly pollEvery: number;
  /**
   * While wake-ups come thick and fast, pages that reach the log's end are read no closer to each other than
   * this. The pause doubles with each that follows another, up to `longestPause` where there is one: a busy log is
   * read in larger pieces, for every piece costs its reader a transaction. What comes after a quiet moment is read
   * at once.
   */
  readonly pause: number;
  readonly longestPause?: number;
  /** Whether the store was closed: it will not come back. */
  isClosed(): boolean;
}

export interface PageAndEnd extends Page {
  /** Where the log ended when the page was read; START where it was empty. */
  readonly end: Position;
}

/** Between tries while the store can not be reached: the first, and the longest, in milliseconds. */
const FIRST_RETRY = 50;
const LONGEST_RETRY = 1_000;

/** `follow` of the port, over pages. */
export async function* followLog(
  log: Followed,
  after: Position,
  options: ReadAllOptions & { signal: AbortSignal },
): AsyncGenerator<Page, void, undefined> {
  const { signal, ...page } = options;
  let cursor = after;
  let retry = FIRST_RETRY;
  const { longestPause = log.pause } = log;
  let { pause } = log;
  while (!signal.aborted) {
    // Listening starts before reading: what comes in between has woken us already.
    const wake = log.wakeUp.listen(log.pollEvery, signal);
    const readAt = performance.now();
    try {
      const { events, scannedTo, end } = await log.readPage(cursor, page);
      if (signal.aborted) return;
      // A copy from before may have taken the log's place: going on would skip what it records next.
      if (comparePositions(cursor, end) > 0)
        throw new LedgerCorrupt(cursor, `was read already, but the log ends at ${end}`);
      retry = FIRST_RETRY;
      const atEnd = scannedTo === cursor;
      cursor = scannedTo;
      if (atEnd) await wake.next;
      else yield { events, scannedTo };
      if (comparePositions(scannedTo, end) >= 0) await sleepUntil(readAt + pause, signal);
      pause = atEnd ? log.pause : Math.min(pause * 2, longestPause);
    } catch (error) {
      if (!(error instanceof LedgerUnavailable) || log.isClosed()) throw error;
      await sleepUntil(performance.now() + retry, signal);
      retry = Math.min(retry * 2, LONGEST_RETRY);
    } finally {
      wake.cancel();
    }
  }
}

async function sleepUntil(moment: number, signal: AbortSignal): Promise<void> {
  const rest = moment - performance.now();
  if (rest > 0) await sleep(rest, undefined, { signal }).catch(() => undefined);
}
