import type { Kysely } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import type { StreamName } from '#core/kernel/ids.js';
import { comparePositions, laterOf, type Position, START } from '#core/kernel/position.js';
import { type Mark, markOf } from './apply.js';
import { LogFailed, MustStop } from './failure.js';
import { advance, type Advance, advanced, type Lease, renew } from './lease.js';
import {
  ledgerIdOf,
  type LogPage,
  type LogReader,
  type Outcome,
  reading,
  settled,
  unsettled,
} from './log-reader.js';
import type { Nudge } from './nudge.js';

/** How often a scan that found nothing may move the checkpoint, unless somebody waits for it. */
const MOVE_OVER_INTERVAL = 100;
/** How often the log is asked directly while somebody waits for a position that was not delivered yet. */
const IMPATIENCE = 25;
/** How often it is looked where the log ends, in order to know later that it was reached. */
const LANDMARK_INTERVAL = 1_000;
const NONE: ReadonlyMap<number, number> = new Map();
/** How long an event may be in the log without being delivered. */
const PATIENCE = 10_000;

export interface Following {
  readonly db: Kysely<unknown>;
  readonly log: LogReader;
  readonly lease: Lease;
  readonly categories: readonly string[];
  /** Whether an event is delivered; the others are passed over. */
  concerns(event: Recorded): boolean;
  /** Whether events of this stream are the lease's to apply: less and less of them while it lasts, perhaps. */
  isOfLease(stream: StreamName): boolean;
  /** Events a page at most. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Fired when somebody waits, or when there is something to do in `between`. */
  readonly nudge: Nudge;
  /** A position that somebody waits for, beyond the checkpoint. */
  wanted(): Position | undefined;
  /** MUST move the lease to the mark. */
  onEvents(events: readonly Recorded[], mark: Mark): Promise<void>;
  /** Called when it is proven that the checkpoint is of this log. */
  onProven(): void;
  /** Called after every committed step. */
  onMoved(): void;
  /** Work of its own, between pages, when `performance.now()` has reached `dueAt`. */
  readonly between?: { dueAt(): number; run(): Promise<void> };
}

/**
 * Follows the log from the lease's position until `signal` aborts, one step after the other: a page, the
 * lease's renewal, a checkpoint moved over what does not matter here. Sleeps while there is nothing.
 *
 * Throws MustStop where the log is not the one the checkpoint comes from or can not be read on,
 * OwnershipLost, and what passes.
 */
export async function followUnderLease(work: Following): Promise<void> {
  await proveCheckpoint(work.log, work.lease);
  work.onProven();
  const ending = new AbortController();
  const signal = AbortSignal.any([work.signal, ending.signal]);
  const { categories, limit, lease } = work;
  const concerns = (stream: StreamName) => work.isOfLease(stream);
  const pages = work.log
    .follow(lease.position, { categories, limit, concerns, signal })
    [Symbol.asyncIterator]();
  try {
    await new Follower(work, pages).run();
  } catch (error) {
    if (!work.signal.aborted) throw error;
  } finally {
    ending.abort();
    // Not awaited: a reading that hangs must not keep the lease from being released.
    void settled(Promise.resolve(pages.return?.()));
  }
}

class Follower {
  /** Scanned this far, with nothing between the checkpoint and here that matters. */
  private scanned: Position;
  /** The last event that was passed over: where the scan ended with it, it proves that without being asked for. */
  private passedOver: Recorded | undefined;
  private arrived: Outcome<IteratorResult<LogPage>> | undefined;
  private renewAt = performance.now();
  private moveOverAt = 0;
  private askAt = 0;
  private landmarkAt = 0;
  /** Where the log ended at some moment. Once it is reached, everything recorded before that moment is in. */
  private landmark: { position: Position; seenAt: number } | undefined;
  /** An event that the log has for us, and since when it was not delivered. */
  private overdue: { position: Position; since: number } | undefined;

  constructor(
    private readonly work: Following,
    private readonly pages: AsyncIterator<LogPage>,
  ) {
    this.scanned = work.lease.position;
  }

  async run(): Promise<void> {
    const { signal, nudge } = this.work;
    this.fetch();
    while (!signal.aborted) {
      if (this.arrived === undefined) await nudge.sleep(this.idleTime(), signal);
      if (signal.aborted) return;
      if (this.arrived !== undefined) await this.take(await reading(() => this.delivered()));
      await this.chores();
    }
  }

  private fetch(): void {
    this.arrived = undefined;
    void settled(this.pages.next()).then((outcome) => {
      this.arrived = outcome;
      this.work.nudge.fire();
    });
  }

  private async delivered(): Promise<LogPage> {
    const { done, value } = await unsettled(this.arrived as Outcome<IteratorResult<LogPage>>);
    if (done) throw new Error('the log ended');
    // The next one is asked for before this one is worked on, so that reading and writing overlap.
    this.fetch();
    return value;
  }

  private async take({ events: all, scannedTo }: LogPage): Promise<void> {
    this.overdue = undefined;
    const events = all.filter(
      (event) => this.work.isOfLease(event.stream) && this.work.concerns(event),
    );
    if (events.length === 0) {
      this.scanned = laterOf(this.scanned, scannedTo);
      this.passedOver = all.at(-1) ?? this.passedOver;
      return;
    }
    await this.work.onEvents(events, await this.mark({ events: all, scannedTo }));
    this.moved();
  }

  private async chores(): Promise<void> {
    const { between, signal } = this.work;
    if (between && performance.now() >= between.dueAt()) await between.run();
    if (signal.aborted) return;
    const now = performance.now();
    const [waitedFor, scanned] = [this.isWaitedFor(), this.hasScanned()];
    if (now >= this.landmarkAt && this.landmark === undefined) await this.setLandmark();
    if (now >= this.renewAt) await this.ask();
    else if (scanned && (waitedFor || now >= this.moveOverAt)) await this.moveOver();
    else if (waitedFor && now >= this.askAt) await this.ask();
  }

  /**
   * Asks the log directly whether there is something, which proves that nothing is missing where there is
   * not: a subscription that is silent proves nothing. An event that is there and not delivered for long
   * ends the following, and it is begun anew.
   */
  private async ask(): Promise<void> {
    const { log, categories, lease, db } = this.work;
    const asked = performance.now();
    const renewing = asked >= this.renewAt;
    this.askAt = asked + IMPATIENCE;
    const concerns = (stream: StreamName) => this.work.isOfLease(stream);
    const page = await this.peek(() =>
      log.readAll(this.scanned, { categories, limit: 1, concerns }),
    );
    const waiting = page?.events.find(({ stream }) => concerns(stream));
    if (page !== undefined && waiting === undefined) {
      this.overdue = undefined;
      // Where it came no further, it was at the end; a page may scan a part of the log only.
      const atEnd = page.scannedTo === this.scanned;
      this.scanned = laterOf(this.scanned, page.scannedTo);
      if (renewing || this.hasScanned()) await this.moveOver(atEnd ? asked : undefined);
      return;
    }
    if (renewing) {
      await renew(db, lease);
      this.renewAt = performance.now() + renewalOf(lease);
    }
    if (waiting === undefined) return;
    if (this.overdue?.position !== waiting.position)
      this.overdue = { position: waiting.position, since: asked };
    if (asked - this.overdue.since > PATIENCE && this.arrived === undefined)
      throw new LogFailed(new Error('following the log delivers nothing'));
  }

  /** What can not be read on is delivered as such, in its turn. */
  private async peek(read: () => Promise<LogPage>): Promise<LogPage | undefined> {
    try {
      return await reading(read);
    } catch (error) {
      if (error instanceof MustStop) return undefined;
      throw error;
    }
  }

  private async moveOver(caughtUpAt?: number): Promise<void> {
    const { db, lease } = this.work;
    const { scanned, passedOver } = this;
    const events = passedOver?.position === scanned ? [passedOver] : [];
    const mark = await this.mark({ events, scannedTo: scanned });
    const step: Advance = { ...mark, applied: NONE, caughtUpAt: caughtUpAt ?? mark.caughtUpAt };
    await advance(db, lease, step);
    advanced(lease, step);
    this.moved();
  }

  private async mark(page: LogPage): Promise<Mark> {
    const { log, lease } = this.work;
    const ledgerId = lease.ledgerId ?? (await ledgerIdOf(log));
    const { position: to, anchor } = lease;
    const known: Mark = { to, anchor, ledgerId, caughtUpAt: this.caughtUpAtBy(page.scannedTo) };
    return page.scannedTo === to ? known : markOf(log, page, known);
  }

  private async setLandmark(): Promise<void> {
    const seenAt = performance.now();
    this.landmarkAt = seenAt + LANDMARK_INTERVAL;
    const end = await reading(() => this.work.log.head());
    this.landmark = { position: end?.position ?? START, seenAt };
  }

  private caughtUpAtBy(position: Position): number | undefined {
    const { landmark } = this;
    if (landmark === undefined || comparePositions(position, landmark.position) < 0)
      return undefined;
    this.landmark = undefined;
    return landmark.seenAt;
  }

  private moved(): void {
    const { lease, onMoved } = this.work;
    const now = performance.now();
    this.scanned = laterOf(this.scanned, lease.position);
    this.renewAt = now + renewalOf(lease);
    this.moveOverAt = now + MOVE_OVER_INTERVAL;
    onMoved.call(this.work);
  }

  private hasScanned(): boolean {
    return comparePositions(this.scanned, this.work.lease.position) > 0;
  }

  private isWaitedFor(): boolean {
    const wanted = this.work.wanted();
    return wanted !== undefined && comparePositions(wanted, this.work.lease.position) > 0;
  }

  private idleTime(): number {
    const due = [this.renewAt];
    if (this.work.between) due.push(this.work.between.dueAt());
    if (this.hasScanned()) due.push(this.moveOverAt);
    if (this.isWaitedFor()) due.push(this.askAt);
    return Math.max(0, Math.min(...due) - performance.now());
  }
}

/** Often enough that an idle projection is known to be up to date within the ten seconds readers allow. */
function renewalOf(lease: Lease): number {
  return Math.min(lease.milliseconds / 3, 2_000);
}

/**
 * Proves that the rows were made from this log: the ledger is the one they name and holds, at its place,
 * the event that the checkpoint rests on. Throws MustStop (`checkpoint-not-in-log`) otherwise: going on
 * would skip what a restored or exchanged log holds differently.
 */
export async function proveCheckpoint(log: LogReader, lease: Lease): Promise<void> {
  const { position, anchor } = lease;
  if (position === START) return;
  const missing = (what: string) => new MustStop(position, 'checkpoint-not-in-log', what);
  const ledgerId = await ledgerIdOf(log);
  if (ledgerId === undefined) throw missing('the log is empty');
  if (lease.ledgerId !== undefined && lease.ledgerId !== ledgerId)
    throw missing(`the rows were made from ledger ${lease.ledgerId}, this is ${ledgerId}`);
  if (anchor === undefined) return;
  const there = await reading(() => log.at(anchor.position));
  if (there?.id !== anchor.eventId)
    throw missing(
      `at ${anchor.position} the rows hold ${anchor.eventId}, the log ${there?.id ?? 'nothing'}`,
    );
}
