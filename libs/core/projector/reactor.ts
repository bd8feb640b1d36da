import type { Recorded } from '#core/kernel/event.js';
import type { StreamName } from '#core/kernel/ids.js';
import { markAfter, type Mark } from './apply.js';
import { ensureCheckpoint } from './checkpoint.js';
import { MustStop, OwnershipLost, reasonOf } from './failure.js';
import { followUnderLease } from './follow.js';
import { Retries, type Surroundings, takeTurn, type TurnResult } from './keep.js';
import { type Advance, advance, advanced, assertHeld, type Lease, whileRenewing } from './lease.js';
import { reading } from './log-reader.js';
import { Nudge } from './nudge.js';
import {
  type Backoff,
  blockedOf,
  delayAfter,
  dueStreams,
  firstOf,
  park,
  type Parked,
  postpone,
  unpark,
  untilNextDue,
} from './parked.js';
import type { Watcher } from './runner.js';

/**
 * Something that happens because of an event and can not be taken back: a key is destroyed, a recipient
 * told. It happens at least once, in order within a stream; streams do not wait for each other.
 */
export interface Reactor {
  /** Also the checkpoint's name. */
  readonly name: string;
  readonly categories: readonly string[];
  /** Whether it does anything about an event; absent: about all. Others may be passed over, and need not be. */
  concerns?(event: Recorded): boolean;
  /**
   * MUST be safe to repeat: a crash between effect and checkpoint repeats it. What it throws parks the
   * event, which is tried again later; the code or name of the error is kept as the reason. `signal`
   * aborts when its time is up or another process has taken over.
   */
  react(event: Recorded, signal: AbortSignal): Promise<void>;
}

export interface ReactorOptions {
  /** Events a page: as many may be repeated after a crash. */
  readonly limit?: number;
  /** Streams worked on at once. */
  readonly concurrency?: number;
  /** Milliseconds one effect may take. */
  readonly patience?: number;
  readonly backoff?: Backoff;
}

/** How often it is looked whether the lease can be had, in milliseconds. */
const STANDBY = 1_000;
/** Streams with parked events that are tried again before the log has its turn again, and events of each. */
const RETRIES = 200;
const DRAIN = 100;

/** Drives one reactor while this process owns it, and stands by while another one does. */
export class ReactorRunner {
  readonly retries = new Retries();
  readonly nudge = new Nudge();
  private leading = false;
  private evenIfStopped = true;
  private turnOf: ReactorTurn | undefined;

  constructor(
    private readonly surroundings: Surroundings,
    readonly reactor: Reactor,
    private readonly watcher: Watcher,
    private readonly options: ReactorOptions = {},
  ) {}

  /** Until `signal` aborts; then the effects under way are finished and the lease given back. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const standby = Math.min(STANDBY, this.surroundings.leaseMilliseconds / 4);
    while (!signal.aborted) {
      const result = await this.turn(signal);
      this.leading = false;
      if (result === 'stopped') this.watcher.stopped(this.reactor.name, [0]);
      if (result === 'busy' || result === 'stopped' || result === 'lost')
        await this.nudge.sleep(result === 'lost' ? 20 : standby, signal);
    }
  }

  /** Whether this process drives it now: a reactor is in one piece. */
  holds(partition: number): boolean {
    return this.leading && partition === 0;
  }

  /** Parked events are looked at now. */
  hurry(): void {
    if (this.turnOf) this.turnOf.dueAt = 0;
    this.nudge.fire();
  }

  private async turn(signal: AbortSignal): Promise<TurnResult> {
    const { surroundings, retries, evenIfStopped, reactor } = this;
    const { name } = reactor;
    try {
      await ensureCheckpoint(surroundings.db, 'checkpoints', name, 'reactor');
    } catch (error) {
      await retries.wait(surroundings, name, error, signal);
      return 'failed';
    }
    const turn = { table: 'checkpoints', name, evenIfStopped, signal, retries } as const;
    return takeTurn(surroundings, turn, ([lease]) => this.lead(lease, signal));
  }

  private async lead(lease: Lease, signal: AbortSignal): Promise<void> {
    const { surroundings, reactor, watcher, nudge, retries, options } = this;
    const { db, log } = surroundings;
    this.evenIfStopped = false;
    this.leading = true;
    const tell = () => watcher.passed(reactor.name, 0, lease);
    const onMoved = () => {
      retries.succeeded();
      tell();
    };
    await whileRenewing(db, lease, async (lost) => {
      const turn = new ReactorTurn(surroundings, reactor, options, lease, signal, lost);
      this.turnOf = turn;
      await followUnderLease({
        db,
        log,
        lease,
        categories: reactor.categories,
        concerns: (event) => reactor.concerns?.(event) ?? true,
        isOfLease: () => true,
        limit: options.limit ?? 100,
        signal: AbortSignal.any([signal, lost]),
        nudge,
        wanted: () => watcher.wanted(reactor.name, lease),
        onEvents: (events, mark) => turn.onEvents(events, mark),
        onProven: tell,
        onMoved,
        between: { dueAt: () => turn.dueAt, run: () => turn.retryParked() },
      });
    });
  }
}

/** One ownership of a reactor. */
class ReactorTurn {
  /** When parked events are to be looked at, by `performance.now()`. */
  dueAt = 0;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly reactor: Reactor,
    private readonly options: ReactorOptions,
    private readonly lease: Lease,
    private readonly stopping: AbortSignal,
    private readonly lost: AbortSignal,
  ) {}

  /** Effects first, then the checkpoint with whatever was parked, in one transaction. */
  async onEvents(events: readonly Recorded[], mark: Mark): Promise<void> {
    const { db } = this.surroundings;
    const streams = byStream(events);
    const blocked = await blockedOf(db, this.reactor.name, [...streams.keys()]);
    const done = new Set<Recorded>();
    const parked: Parked[] = [];
    await this.eachOf(streams, async ([stream, ofStream]) => {
      for (const event of ofStream) {
        if (this.isOver()) return;
        const outcome = blocked.has(stream) ? behindOthers(event) : await this.attempt(event, 1);
        if (outcome) {
          blocked.add(stream);
          parked.push(outcome);
        }
        done.add(event);
      }
    });
    // What was not begun when the process was told to stop is left to the next owner, and so is what follows it.
    const left = events.findIndex((event) => !done.has(event));
    const finished = left < 0 ? events : events.slice(0, left);
    if (finished.length === 0) return;
    await this.commit(finished, parked, left < 0 ? mark : markAfter(finished, mark.ledgerId));
  }

  async retryParked(): Promise<void> {
    const { db } = this.surroundings;
    const { name } = this.reactor;
    await this.eachOf(await dueStreams(db, name, RETRIES), (stream) => this.drain(stream));
    const delay = await untilNextDue(db, name);
    this.dueAt = delay === undefined ? Infinity : performance.now() + delay;
  }

  private async drain(stream: StreamName): Promise<void> {
    const { db, log } = this.surroundings;
    for (let count = 0; count < DRAIN && !this.isOver(); count++) {
      const head = await firstOf(db, this.reactor.name, stream);
      if (head === undefined) return;
      const { position, attempts } = head;
      const event = await reading(() => log.at(position));
      if (event === undefined)
        throw new MustStop(position, 'checkpoint-not-in-log', 'a parked event is not there');
      const failed = await this.attempt(event, attempts + 1);
      if (failed) return postpone(db, this.lease, failed);
      await unpark(db, this.lease, { stream, position });
    }
  }

  private isOver(): boolean {
    return this.stopping.aborted || this.lost.aborted;
  }

  /** What is to be parked; undefined where the effect is done. */
  private async attempt(event: Recorded, attempts: number): Promise<Parked | undefined> {
    const { stream, position } = event;
    await assertHeld(this.surroundings.db, this.lease);
    try {
      await this.react(event);
      return undefined;
    } catch (error) {
      if (this.lost.aborted) throw new OwnershipLost(this.reactor.name);
      const reason = reasonOf(error);
      const { name } = this.reactor;
      this.surroundings.report({ kind: 'parked', name, position, reason, attempts });
      const backoff = this.options.backoff ?? { first: 1_000, longest: 3_600_000 };
      return { stream, position, reason, attempts, delay: delayAfter(attempts, backoff) };
    }
  }

  private async react(event: Recorded): Promise<void> {
    const ending = new AbortController();
    const takenOver = () => ending.abort(this.lost.reason);
    this.lost.addEventListener('abort', takenOver, { once: true });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new TookTooLong();
        ending.abort(error);
        reject(error);
      }, this.options.patience ?? 60_000);
    });
    try {
      await Promise.race([this.reactor.react(event, ending.signal), late]);
    } finally {
      clearTimeout(timer);
      this.lost.removeEventListener('abort', takenOver);
    }
  }

  private async commit(events: readonly Recorded[], parked: readonly Parked[], mark: Mark) {
    const { lease } = this;
    const step: Advance = { ...mark, applied: new Map([[0, events.length]]) };
    // Of a page that was cut short, later events may have failed too: the next owner meets them again.
    const reached = new Set(events.map(({ position }) => position));
    const kept = parked.filter(({ position }) => reached.has(position));
    await this.surroundings.db.transaction().execute(async (tx) => {
      await advance(tx, lease, step);
      await park(tx, this.reactor.name, kept);
    });
    advanced(lease, step);
    const delays = kept.flatMap(({ delay }) => delay ?? []);
    this.dueAt = Math.min(this.dueAt, performance.now() + Math.min(...delays));
  }

  private async eachOf<T>(items: Iterable<T>, work: (item: T) => Promise<void>) {
    const queue = items[Symbol.iterator]();
    let failed: { error: unknown } | undefined;
    const hand = async () => {
      for (let next = queue.next(); !next.done && !failed; next = queue.next())
        await work(next.value).catch((error: unknown) => (failed ??= { error }));
    };
    // All of them end before a failure is told: nothing goes on behind the back of the next attempt.
    await Promise.all(Array.from({ length: this.options.concurrency ?? 8 }, hand));
    if (failed) throw failed.error;
  }
}

class TookTooLong extends Error {
  override readonly name = 'TookTooLong';
  readonly code = 'timeout';
}

function behindOthers({ stream, position }: Recorded): Parked {
  return { stream, position, reason: 'waiting', attempts: 0, delay: undefined };
}

function byStream(events: readonly Recorded[]): ReadonlyMap<StreamName, readonly Recorded[]> {
  const streams = new Map<StreamName, Recorded[]>();
  for (const event of events) {
    const ofStream = streams.get(event.stream);
    if (ofStream) ofStream.push(event);
    else streams.set(event.stream, [event]);
  }
  return streams;
}
