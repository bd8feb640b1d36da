import type { Kysely } from 'kysely';
import { comparePositions, laterOf, type Position } from '#core/kernel/position.js';
import { type Checkpoint, readCheckpoints } from './checkpoint.js';
import type { Step, Watcher } from './runner.js';

/** How often the checkpoints are looked at while somebody waits for what another process does. */
const POLL_REMOTE = 25;
/** The same where runners of this process tell of every step: only in case the ownership moves away. */
const POLL_LOCAL = 250;

interface Waiter {
  readonly position: Position;
  readonly names: ReadonlySet<string>;
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
  private readonly known = new Map<string, Known>();
  private readonly waiters = new Set<Waiter>();
  private poll: { readonly timer: NodeJS.Timeout; readonly dueAt: number } | undefined;

  constructor(
    private readonly db: Kysely<unknown>,
    /** The version that counts: rows of another one are not those that the caller reads. */
    private readonly versionOf: (name: string) => number | undefined,
    private readonly isLocal: (name: string) => boolean,
    private readonly wake: (name: string) => void,
  ) {}

  /**
   * True as soon as all of `names` have committed everything up to `position`; false after `timeoutMs`, on
   * abort, or as soon as one of them is stopped before it.
   */
  async waitFor(
    position: Position,
    names: readonly string[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<boolean> {
    if (this.havePassed(position, names)) return true;
    const { timeoutMs, signal } = options;
    if (signal?.aborted) return false;
    const local = names.every((name) => this.isLocal(name));
    if (timeoutMs <= 0) {
      // What runners of this process have not told of is not there; of others one look tells.
      if (!local) await this.lookAt(names);
      return this.havePassed(position, names);
    }
    return new Promise((resolve) => {
      const settle = (passed: boolean) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.waiters.delete(waiter);
        resolve(passed);
      };
      const waiter: Waiter = { position, names: new Set(names), settle };
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp, { once: true });
      this.waiters.add(waiter);
      for (const name of names) this.wake(name);
      this.schedule(local ? POLL_LOCAL : 0);
    });
  }

  wanted(name: string): Position | undefined {
    let latest: Position | undefined;
    for (const { names, position } of this.waiters)
      if (names.has(name)) latest = latest === undefined ? position : laterOf(latest, position);
    return latest;
  }

  passed(name: string, version: number, { epoch, position }: Step): void {
    if (version !== (this.versionOf(name) ?? version)) return;
    const known = this.known.get(name);
    const step = { epoch: BigInt(epoch), position };
    // Answers of the database can overtake each other. Only a new epoch may begin further back.
    const isOlder =
      known !== undefined &&
      (step.epoch < known.epoch ||
        (step.epoch === known.epoch && comparePositions(position, known.position) <= 0));
    if (isOlder) return;
    this.known.set(name, step);
    for (const waiter of this.waiters)
      if (waiter.names.has(name) && this.havePassed(waiter.position, [...waiter.names]))
        waiter.settle(true);
  }

  stopped(name: string): void {
    this.giveUpOn(name);
    this.forget(name);
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

  private giveUpOn(name: string): void {
    for (const waiter of this.waiters)
      if (waiter.names.has(name) && !this.havePassed(waiter.position, [name])) waiter.settle(false);
  }

  private havePassed(position: Position, names: readonly string[]): boolean {
    return names.every((name) => {
      const known = this.known.get(name);
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
    const names = [...new Set([...this.waiters].flatMap((waiter) => [...waiter.names]))];
    if (names.length === 0) return;
    await this.lookAt(names);
    if (this.waiters.size === 0) return;
    const remote = names.some((name) => !this.isLocal(name));
    this.schedule(remote ? POLL_REMOTE : POLL_LOCAL);
  }

  private async lookAt(names: readonly string[]): Promise<void> {
    try {
      for (const checkpoint of (await readCheckpoints(this.db, { names })).values())
        this.learn(checkpoint);
    } catch {
      // The database is away: those who wait are told by their time.
    }
  }

  private learn(checkpoint: Checkpoint): void {
    const { name, kind, version, status } = checkpoint;
    if (version > 0 || kind === 'reactor') this.passed(name, version, checkpoint);
    if (status === 'stopped') this.giveUpOn(name);
  }
}
