import { sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import { type Checkpoint, ensureCheckpoint, readCheckpoints } from './checkpoint.js';
import { Driving } from './driving.js';
import { OwnershipLost } from './failure.js';
import { Retries, type Surroundings, takeTurn, type TurnResult } from './keep.js';
import { Nudge } from './nudge.js';
import type { Projection } from './projection.js';
import { rebuildTurn } from './rebuild.js';
import type { Sharing } from './sharing.js';
import {
  createBeside,
  creating,
  LIVE_SCHEMA,
  lockProjection,
  present,
  switchIn,
} from './tables.js';

/** How often it is looked whether the lease can be had, in milliseconds. */
const STANDBY = 1_000;
/** How often a runner of older code looks whether it is wanted again. */
const OUTDATED = 5_000;

/** How far rows are committed, and under which ownership of which partitions. */
export interface Step {
  readonly epochs: ReadonlyMap<number, string>;
  readonly position: Position;
}

/** What a runner tells of its steps, to whoever waits in this process. */
export interface Watcher {
  /** A position that somebody waits for, in one of these partitions. */
  wanted(name: string, held: Pick<Step, 'epochs'>): Position | undefined;
  passed(name: string, version: number, step: Step): void;
  stopped(name: string, partitions: Iterable<number>): void;
}

export interface RunnerOptions {
  readonly limit?: number;
  readonly rebuildLimit?: number;
}

/**
 * Drives this process's share of one projection's partitions, and stands by while it has none. Tables of
 * older code, and tables that somebody dropped, are rebuilt first.
 */
export class ProjectionRunner {
  readonly retries = new Retries();
  readonly nudge = new Nudge();
  private driving: Driving | undefined;
  /** What was stopped is tried once more when a process starts. */
  private evenIfStopped = true;
  private reportedOutdated = false;

  constructor(
    private readonly surroundings: Surroundings,
    readonly projection: Projection,
    private readonly watcher: Watcher,
    private readonly sharing: Sharing,
    private readonly options: RunnerOptions = {},
  ) {}

  /** Whether this process drives that partition now. */
  holds(partition: number): boolean {
    return this.driving?.holds(partition) ?? false;
  }

  /** Until `signal` aborts; then the present batch is finished and the lease given back. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const result = await this.turn(signal);
      this.driving = undefined;
      if (result === 'busy' || result === 'stopped' || result === 'lost')
        await this.nudge.sleep(result === 'lost' ? 20 : this.standby(), signal);
    }
  }

  /** Other partitions are this process's to drive than before. */
  shareChanged(): void {
    this.driving?.shareChanged();
    this.nudge.fire();
  }

  private standby(): number {
    return Math.min(STANDBY, this.surroundings.leaseMilliseconds / 4);
  }

  private async turn(signal: AbortSignal): Promise<TurnResult> {
    const { surroundings, retries } = this;
    const { name, version } = this.projection;
    try {
      const { live, rebuilding, whole } = await this.look();
      if (signal.aborted) return 'busy';
      if (live.version > version) return await this.standBack(live, signal);
      const isOld = live.version !== 0 && live.version < version;
      if (isOld || !whole || (live.version === 0 && rebuilding))
        return await this.rebuild(live, signal);
    } catch (error) {
      await retries.wait(surroundings, name, error, signal);
      return 'failed';
    }
    const partitions = [...this.sharing.of(name)];
    if (partitions.length === 0) return 'busy';
    const { evenIfStopped } = this;
    const turn = {
      table: 'checkpoints',
      name,
      partitions,
      evenIfStopped,
      signal,
      retries,
    } as const;
    return takeTurn(surroundings, turn, async (leases, checkpoint) => {
      this.evenIfStopped = false;
      if (checkpoint.version === 0) await this.createLive();
      else if (checkpoint.version !== version) return;
      this.driving = new Driving(surroundings, this.projection, leases, {
        ...this.options,
        nudge: this.nudge,
        retries,
        watcher: this.watcher,
        wanted: () => this.sharing.of(name),
      });
      await this.driving.run(signal);
    });
  }

  private async look(): Promise<{ live: Checkpoint; rebuilding: boolean; whole: boolean }> {
    const { db } = this.surroundings;
    const { name, partitions } = this.projection;
    const names = [name];
    const live = await ensureCheckpoint(db, 'checkpoints', name, 'projection', partitions);
    const rebuilding =
      live.version === 0 && (await readCheckpoints(db, { table: 'rebuilds', names })).has(name);
    const { objects } = live;
    const whole = (await present(db, LIVE_SCHEMA, objects)).length === objects.length;
    return { live, rebuilding, whole };
  }

  /** The very first tables, empty, where they are read: made by the one who comes first. */
  private async createLive(): Promise<void> {
    const { db } = this.surroundings;
    const { name, version } = this.projection;
    await creating(db, async (tx) => {
      await lockProjection(tx, name);
      const rebuilds = await readCheckpoints(tx, { table: 'rebuilds', names: [name] });
      // A rebuild that is under way makes them.
      if (rebuilds.has(name)) throw new OwnershipLost(name);
      const { numAffectedRows } = await sql`
        update projector.checkpoints set version = ${version}
         where name = ${name} and version = 0`.execute(tx);
      if (numAffectedRows === 0n) return;
      const made = await createBeside(tx, this.projection);
      await switchIn(tx, this.projection, made, []);
      await sql`update projector.checkpoints set objects = ${JSON.stringify(made)}::jsonb
                 where name = ${name}`.execute(tx);
    });
  }

  private async rebuild(live: Checkpoint, signal: AbortSignal): Promise<TurnResult> {
    const { surroundings, retries, nudge, projection, evenIfStopped } = this;
    if (live.status !== 'rebuilding')
      await sql`update projector.checkpoints
                   set status = 'rebuilding', error = null, updated_at = clock_timestamp()
                 where name = ${projection.name} and version = ${live.version}`.execute(
        surroundings.db,
      );
    const { result } = await rebuildTurn(surroundings, projection, {
      signal,
      retries,
      nudge,
      evenIfStopped,
      begun: () => (this.evenIfStopped = false),
      limit: this.options.rebuildLimit,
    });
    return result;
  }

  /** Newer code has taken over: its tables are not ours to write. Starting it again does not take them back. */
  private async standBack(live: Checkpoint, signal: AbortSignal): Promise<TurnResult> {
    const { name } = this.projection;
    if (!this.reportedOutdated)
      this.surroundings.report({ kind: 'outdated', name, version: live.version });
    this.reportedOutdated = true;
    await this.nudge.sleep(OUTDATED, signal);
    return 'failed';
  }
}
