import { setTimeout as sleep } from 'node:timers/promises';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import type { PageAndEnd } from '../follow-log.js';
import { NewestEvents } from '../newest-events.js';
import type { ReadAllOptions, StoredEvent } from '../port.js';
import type { Connection } from './connection.js';
import { checkpointIn, type LogPosition, placeOf, subscription } from './read-request.js';
import { storedEventIn } from './stored-event.js';

/** Between subscriptions, in milliseconds: the first time, and at most. */
const [FIRST_RETRY, LONGEST_RETRY] = [50, 2_000];

/** A subscription that is behind what readers find is given up after this, in milliseconds. */
const PATIENCE = 2_000;

/**
 * The end of the log as it grows: one subscription for all who follow in this process, and the newest
 * events in memory. Nothing depends on it: a subscription that was dropped is made again from where it was,
 * one that is silent is noticed by those who read, and who needs older events than are kept reads them. A
 * slow reader therefore costs nothing.
 */
export class Tail {
  private readonly newest = new NewestEvents();
  /** Where the next subscription begins; beyond `to` where only events of others came. */
  private resumeAt: LogPosition | undefined;
  private readonly ending = new AbortController();
  private broken: AbortController | undefined;
  private missedSince: number | undefined;
  private readonly running: Promise<void>;

  /** `onGrowth` is called when there is more. */
  constructor(
    private readonly connection: Connection,
    private readonly prefix: string,
    private readonly head: () => Promise<StoredEvent | undefined>,
    private readonly onGrowth: () => void,
  ) {
    this.running = this.run();
  }

  /** A page from what is kept; undefined where that does not reach from `after` to `end`, or beyond `after`. */
  page(after: Position, options: ReadAllOptions, end?: Position): PageAndEnd | undefined {
    const { newest } = this;
    const reaches =
      end === undefined
        ? comparePositions(after, newest.to) < 0
        : comparePositions(end, newest.to) <= 0;
    const page = reaches ? newest.page(after, options) : undefined;
    return page && { ...page, end: newest.to };
  }

  /** Told where a reader found the log to end: a subscription that does not come there hangs. */
  expect(end: Position): void {
    if (comparePositions(end, this.newest.to) <= 0) this.missedSince = undefined;
    else if (this.missedSince === undefined) this.missedSince = performance.now();
    else if (performance.now() - this.missedSince > PATIENCE) {
      this.missedSince = undefined;
      this.broken?.abort();
    }
  }

  async close(): Promise<void> {
    this.ending.abort();
    this.broken?.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.ending;
    for (let retry = FIRST_RETRY; !signal.aborted; retry = Math.min(retry * 2, LONGEST_RETRY)) {
      try {
        if (!this.newest.begun) this.begin(await this.head());
        await this.subscribe(() => (retry = FIRST_RETRY));
      } catch {
        // Readers poll meanwhile, and say what is wrong.
      }
      await sleep(retry, undefined, { signal }).catch(() => undefined);
    }
  }

  private begin(head: StoredEvent | undefined): void {
    this.newest.begin(head?.position ?? START);
    this.resumeAt = head && placeOf(head.position);
  }

  /** Until the server or `broken` ends it. */
  private async subscribe(onAnswer: () => void): Promise<void> {
    const client = await this.connection.subscribing();
    const broken = (this.broken = new AbortController());
    const stream = await client.open(subscription(this.resumeAt, [this.prefix]), Infinity);
    broken.signal.addEventListener('abort', () => stream.cancel(), { once: true });
    if (this.ending.signal.aborted) broken.abort();
    for await (const answer of stream) {
      client.heard();
      onAnswer();
      const event = answer.getEvent();
      const stored = event && storedEventIn(event, this.prefix);
      if (stored) this.add(stored);
      this.resumeAt = checkpointIn(answer) ?? this.resumeAt;
    }
  }

  private add(event: StoredEvent): void {
    if (!this.newest.add(event)) return;
    this.resumeAt = placeOf(event.position);
    this.onGrowth();
  }
}
