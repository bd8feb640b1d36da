import type { StreamName } from '#core/kernel/ids.js';
import { comparePositions } from '#core/kernel/position.js';
import { applyBatch, type Mark, markOf, type Target } from './apply.js';
import { MustStop, OwnershipLost } from './failure.js';
import { followUnderLease, proveCheckpoint } from './follow.js';
import { type Retries, stop, type Surroundings, take } from './keep.js';
import { join, type Lease, release, splitOff } from './lease.js';
import { reading } from './log-reader.js';
import type { Nudge } from './nudge.js';
import { partitionFor, type Projection } from './projection.js';
import type { RunnerOptions, Watcher } from './runner.js';
import { LIVE_SCHEMA } from './tables.js';

/** Events a batch: large enough that a commit a batch costs little, small enough to be visible soon. */
const LIMIT = 1_000;
/** How often it is tried to have what is this process's and still another's, in milliseconds. */
const TRY_EVERY = 100;
/** How often it is looked whether there is such. */
const LOOK_EVERY = 1_000;

export interface DrivingOptions extends RunnerOptions {
  readonly nudge: Nudge;
  readonly retries: Retries;
  readonly watcher: Watcher;
  /** The partitions that are this process's to drive, whether it has them or not. */
  wanted(): ReadonlySet<number>;
}

/**
 * One turn at driving partitions of a projection. Those at the same position are one lease and move
 * together; the log is followed for the one that is furthest. What was taken over from somebody who left
 * it behind catches up between its batches, page by page, and joins it at exactly its position: nobody's
 * answers wait for what happened to others' partitions.
 */
export class Driving {
  private readonly target: Target;
  /** Ends the present following: another lease is to be followed, or one with other partitions. */
  private turnover = new AbortController();
  private lookAt = 0;
  /** Those whose checkpoints were found in this log; the one that is followed is proven there. */
  private readonly proven = new WeakSet<Lease>();

  constructor(
    private readonly surroundings: Surroundings,
    private readonly projection: Projection,
    /** What is held: the one to follow first. Changed in place, for the caller gives back what is left. */
    private readonly leases: Lease[],
    private readonly options: DrivingOptions,
  ) {
    const { db, log } = surroundings;
    this.target = { db, log, projection, schema: LIVE_SCHEMA, inBackground: false };
  }

  holds(partition: number): boolean {
    return this.leases.some(({ epochs }) => epochs.has(partition));
  }

  shareChanged(): void {
    this.lookAt = 0;
  }

  /** Until `signal` aborts or nothing is left to drive. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lease = this.furthest();
      if (lease === undefined) return;
      this.turnover = new AbortController();
      const ending = AbortSignal.any([signal, this.turnover.signal]);
      await this.whileItHolds(lease, () => this.follow(lease, ending));
    }
  }

  private async follow(lease: Lease, signal: AbortSignal): Promise<void> {
    const { options, projection, target, surroundings } = this;
    const { nudge, retries, watcher, limit = LIMIT } = options;
    const { name, version, categories } = projection;
    const { db, log } = surroundings;
    const tell = () => watcher.passed(name, version, lease);
    await followUnderLease({
      db,
      log,
      lease,
      categories,
      concerns: (event) => projection.concerns?.(event) ?? true,
      isOfLease: (stream) => this.isOf(lease, stream),
      limit,
      signal,
      nudge,
      wanted: () => watcher.wanted(name, lease),
      onEvents: (events, mark) => applyBatch(target, lease, events, mark),
      onProven: tell,
      onMoved: () => {
        retries.succeeded();
        tell();
      },
      between: {
        dueAt: () => (this.leases.length > 1 ? 0 : this.lookAt),
        run: async () => {
          if (performance.now() >= this.lookAt) await this.fitToShare(lease);
          if (!signal.aborted) await this.catchUp(lease);
        },
      },
    });
  }

  /** Gives away what is not this process's any more, takes what is and can be had. */
  private async fitToShare(followed: Lease): Promise<void> {
    const { surroundings, projection, options } = this;
    const { db, report } = surroundings;
    const { name } = projection;
    const wanted = options.wanted();
    for (const lease of [...this.leases]) {
      const surplus = [...lease.epochs.keys()].filter((partition) => !wanted.has(partition));
      if (surplus.length === 0) continue;
      await release(db, splitOff(lease, surplus));
      report({ kind: 'gave-away', name, partitions: surplus });
    }
    this.dropEmpty();
    const missing = [...wanted].filter((partition) => !this.holds(partition));
    if (missing.length > 0) {
      const turn = {
        table: 'checkpoints',
        name,
        partitions: missing,
        evenIfStopped: false,
      } as const;
      for (const { lease, checkpoint } of await take(surroundings, turn)) {
        this.leases.push(lease);
        if (checkpoint.version !== projection.version) throw new OwnershipLost(name);
        // What another process was ahead with is followed from now on, and ours catches up.
        if (comparePositions(lease.position, followed.position) > 0) this.turnover.abort();
      }
    }
    const lacks = [...wanted].some((partition) => !this.holds(partition));
    this.lookAt = performance.now() + (lacks ? TRY_EVERY : LOOK_EVERY);
    if (followed.epochs.size === 0) this.turnover.abort();
  }

  /** One page for each lease that lies behind the one followed; at its position they become one. */
  private async catchUp(followed: Lease): Promise<void> {
    for (const lease of this.leases.filter((one) => one !== followed)) {
      await this.whileItHolds(lease, () => this.applyPage(lease, followed));
      if (lease.epochs.size > 0 && lease.position === followed.position) {
        join(followed, lease);
        // The pages on their way were read for fewer partitions.
        this.turnover.abort();
      }
      this.dropEmpty();
    }
  }

  private async applyPage(lease: Lease, followed: Lease): Promise<void> {
    const { target, projection, options } = this;
    const { log } = target;
    const { limit = LIMIT, watcher } = options;
    const { categories, name, version } = projection;
    if (!this.proven.has(lease)) await proveCheckpoint(log, lease);
    this.proven.add(lease);
    const concerns = (stream: StreamName) => this.isOf(lease, stream);
    const page = await reading(() => log.readAll(lease.position, { categories, limit, concerns }));
    const { position: to, anchor, ledgerId } = followed;
    const events = page.events.filter(
      ({ stream, position }) => concerns(stream) && comparePositions(position, to) <= 0,
    );
    const known: Mark = { to: lease.position, anchor: lease.anchor, ledgerId };
    const mark: Mark =
      comparePositions(page.scannedTo, to) < 0
        ? await markOf(log, { events, scannedTo: page.scannedTo }, known)
        : { to, anchor, ledgerId };
    await applyBatch(target, lease, events, mark);
    watcher.passed(name, version, lease);
  }

  /** What must stop stops alone: the partition of the event that can not be applied, or all that an event concerns. */
  private async whileItHolds(lease: Lease, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof MustStop)) throw error;
      const { surroundings, projection, options } = this;
      const own = error.stream && partitionFor(projection, error.stream);
      const stopped =
        own !== undefined && lease.epochs.has(own)
          ? splitOff(lease, [own])
          : splitOff(lease, [...lease.epochs.keys()]);
      this.dropEmpty();
      const partitions = [...stopped.epochs.keys()];
      options.watcher.stopped(projection.name, partitions);
      await stop(surroundings, stopped, error);
    }
  }

  private isOf(lease: Lease, stream: StreamName): boolean {
    const own = partitionFor(this.projection, stream);
    return own === undefined || lease.epochs.has(own);
  }

  private furthest(): Lease | undefined {
    this.leases.sort((a, b) => comparePositions(b.position, a.position));
    for (const lease of this.leases.splice(1)) {
      const [first] = this.leases;
      if (first?.position === lease.position) join(first, lease);
      else this.leases.push(lease);
    }
    return this.leases[0];
  }

  private dropEmpty(): void {
    const kept = this.leases.filter(({ epochs }) => epochs.size > 0);
    this.leases.splice(0, this.leases.length, ...kept);
  }
}
