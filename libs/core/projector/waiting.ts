import type { Kysely } from 'kysely';
import { comparePositions, laterOf, type Position } from '#core/kernel/position.js';
import { type Checkpoint, readPartitions } from './checkpoint.js';
import type { Step, Watcher } from './runner.js';

/** How often the checkpoints are looked at while somebody waits for what another process does. */
const POLL_REMOTE = 25;
/** The same where runners of this process tell of every step: only in case the ownership moves away. */
const POLL_LOCAL = 250;

/** One partition of a projection; a reactor is one. */
export interface Place {
  readonly name: string;
  readonly partition: number;
}

interface Waiter {
  readonly position: Position;
  readonly places: readonly Place[];
  settle(passed: boolean): void;
}

interface Known {
  readonly position: Position;
  readonly epoch: bigint;
}

/**
 * Lets readers wait until read models have passed a position. Runners of this process tell of each
 * committed step; what others do is found by polling, one query for all who wait, and none while nobody
 * does.
 */
export class Waiting implements Watcher {
  private readonly known = new Map<string, Map<number, Known>>();
  private readonly waiters = new Set<Waiter>();
  private poll: { readonly timer: NodeJS.Timeout; readonly dueAt: number } | undefined;

  constructor(
    private readonly db: Kysely<unknown>,
    /** The version that counts: rows of another one are not those that the caller reads. */
    private readonly versionOf: (name: string) => number | undefined,
    private readonly isLocal: (place: Place) => boolean,
    private readonly wake: (name: string) => void,
  ) {}

  /**
   * True as soon as all of `places` have committed everything up to `position`; false after `timeoutMs`, on
   * abort, or as soon as one of them is stopped before it.
   */
  async waitFor(
    position: Position,
    places: readonly Place[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<boolean> {
    if (this.havePassed(position, places)) return true;
    const { timeoutMs, signal } = options;
    if (signal?.aborted) return false;
    const local = places.every(this.isLocal);
    const names = new Set(places.map(({ name }) => name));
    if (timeoutMs <= 0) {
      // What runners of this process have not told of is not there; of others one look tells.
      if (!local) await this.lookAt([...names]);
      return this.havePassed(position, places);
    }
    return new Promise((resolve) => {
      const settle = (passed: boolean) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.waiters.delete(waiter);
        resolve(passed);
      };
      const waiter: Waiter = { position, places, settle };
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp, { once: true });
      this.waiters.add(waiter);
      for (const name of names) this.wake(name);
      this.schedule(local ? POLL_LOCAL : 0);
    });
  }

  wanted(name: string, { epochs }: Pick<Step, 'epochs'>): Position | undefined {
    let latest: Position | undefined;
    for (const { places, position } of this.waiters)
      if (places.some((place) => place.name === name && epochs.has(place.partition)))
        latest = latest === undefined ? position : laterOf(latest, position);
    return latest;
  }

  passed(name: string, version: number, { epochs, position }: Step): void {
    if (version !== (this.versionOf(name) ?? version)) return;
    const known = this.known.get(name) ?? new Map<number, Known>();
    this.known.set(name, known);
    let news = false;
    for (const [partition, epoch] of epochs) {
      const [before, step] = [known.get(partition), { epoch: BigInt(epoch), position }];
      // Answers of the database can overtake each other. Only a new epoch may begin further back.
      const isOlder =
        before !== undefined &&
        (step.epoch < before.epoch ||
          (step.epoch === before.epoch && comparePositions(position, before.position) <= 0));
      if (isOlder) continue;
      known.set(partition, step);
      news = true;
    }
    if (!news) return;
    for (const waiter of this.waiters)
      if (
        waiter.places.some((place) => place.name === name) &&
        this.havePassed(waiter.position, waiter.places)
      )
        waiter.settle(true);
  }

  stopped(name: string, partitions: Iterable<number>): void {
    for (const partition of partitions) {
      this.giveUpOn({ name, partition });
      this.known.get(name)?.delete(partition);
    }
  }

  /** What was known may be of tables that are no more: the database is asked again. */
  forget(name: string): void {
    this.known.delete(name);
  }

  /** Lets nobody wait any longer. */
  close(): void {
    clearTimeout(this.poll?.timer);
    this.poll = undefined;
    for (const waiter of this.waiters) waiter.settle(false);
  }

  private giveUpOn({ name, partition }: Place): void {
    for (const waiter of this.waiters) {
      const waited = waiter.places.filter(
        (place) => place.name === name && place.partition === partition,
      );
      if (!this.havePassed(waiter.position, waited)) waiter.settle(false);
    }
  }

  private havePassed(position: Position, places: readonly Place[]): boolean {
    return places.every(({ name, partition }) => {
      const known = this.known.get(name)?.get(partition);
      return known !== undefined && comparePositions(known.position, position) >= 0;
    });
  }

  private schedule(milliseconds: number): void {
    const dueAt = performance.now() + milliseconds;
    if (this.poll !== undefined && this.poll.dueAt <= dueAt) return;
    clearTimeout(this.poll?.timer);
    const timer = setTimeout(() => {
      this.poll = undefined;
      void this.look();
    }, milliseconds);
    this.poll = { timer, dueAt };
  }

  private async look(): Promise<void> {
    const places = [...this.waiters].flatMap((waiter) => waiter.places);
    if (places.length === 0) return;
    await this.lookAt([...new Set(places.map(({ name }) => name))]);
    if (this.waiters.size === 0) return;
    const remote = !places.every(this.isLocal);
    this.schedule(remote ? POLL_REMOTE : POLL_LOCAL);
  }

  private async lookAt(names: readonly string[]): Promise<void> {
    try {
      for (const one of await readPartitions(this.db, { names })) this.learn(one);
    } catch {
      // The database is away: those who wait are told by their time.
    }
  }

  private learn(checkpoint: Checkpoint): void {
    const { name, partition, kind, version, status, epoch, position } = checkpoint;
    const epochs = new Map([[partition, epoch]]);
    if (version > 0 || kind === 'reactor') this.passed(name, version, { epochs, position });
    if (status === 'stopped') this.giveUpOn(checkpoint);
  }
}
