import { sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import { applyBatch, type Target } from './apply.js';
import { type Checkpoint, ensureCheckpoint, readCheckpoints } from './checkpoint.js';
import { OwnershipLost } from './failure.js';
import { followUnderLease } from './follow.js';
import { Retries, type Surroundings, takeTurn, type TurnResult } from './keep.js';
import type { Lease } from './lease.js';
import { Nudge } from './nudge.js';
import type { Projection } from './projection.js';
import { rebuildTurn } from './rebuild.js';
import {
  createBeside,
  creating,
  LIVE_SCHEMA,
  lockProjection,
  present,
  switchIn,
} from './tables.js';

/** Events a batch: large enough that a commit a batch costs little, small enough to be visible soon. */
const LIMIT = 1_000;
/** How often it is looked whether the lease can be had, in milliseconds. */
const STANDBY = 1_000;
/** How often a runner of older code looks whether it is wanted again. */
const OUTDATED = 5_000;

/** How far rows are committed, and under which ownership. */
export interface Step {
  readonly epoch: string;
  readonly position: Position;
}

/** What a runner tells of its steps, to whoever waits in this process. */
export interface Watcher {
  /** A position that somebody waits for. */
  wanted(name: string): Position | undefined;
  passed(name: string, version: number, step: Step): void;
  stopped(name: string): void;
}

export interface RunnerOptions {
  readonly limit?: number;
  readonly rebuildLimit?: number;
}

/**
 * Drives one projection while this process owns it, and stands by while another one does. Tables of older
 * code, and tables that somebody dropped, are rebuilt first.
 */
export class ProjectionRunner {
  readonly retries = new Retries();
  readonly nudge = new Nudge();
  /** Whether this process drives it now. */
  leading = false;
  /** What was stopped is tried once more when a process starts. */
  private evenIfStopped = true;
  private reportedOutdated = false;

  constructor(
    private readonly surroundings: Surroundings,
    readonly projection: Projection,
    private readonly watcher: Watcher,
    private readonly options: RunnerOptions = {},
  ) {}

  /** Until `signal` aborts; then the present batch is finished and the lease given back. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const result = await this.turn(signal);
      this.leading = false;
      if (result === 'stopped') this.watcher.stopped(this.projection.name);
      if (result === 'busy' || result === 'stopped' || result === 'lost')
        await this.nudge.sleep(result === 'lost' ? 20 : this.standby(), signal);
    }
  }

  private standby(): number {
    return Math.min(STANDBY, this.surroundings.leaseMilliseconds / 4);
  }

  private async turn(signal: AbortSignal): Promise<TurnResult> {
    const { surroundings, retries } = this;
    const { name, version } = this.projection;
    try {
      const { live, rebuilding, whole } = await this.look();
      if (live.version > version) return await this.standBack(live, signal);
      const isOld = live.version !== 0 && live.version < version;
      if (isOld || !whole || (live.version === 0 && rebuilding))
        return await this.rebuild(live, signal);
    } catch (error) {
      await retries.wait(surroundings, name, error, signal);
      return 'failed';
    }
    const { evenIfStopped } = this;
    const turn = { table: 'checkpoints', name, evenIfStopped, signal, retries } as const;
    return takeTurn(surroundings, turn, (lease, checkpoint) =>
      this.lead(lease, checkpoint, signal),
    );
  }

  private async look(): Promise<{ live: Checkpoint; rebuilding: boolean; whole: boolean }> {
    const { db } = this.surroundings;
    const { name } = this.projection;
    const names = [name];
    const live = await ensureCheckpoint(db, 'checkpoints', name, 'projection');
    const rebuilding =
      live.version === 0 && (await readCheckpoints(db, { table: 'rebuilds', names })).has(name);
    const { objects } = live;
    const whole = (await present(db, LIVE_SCHEMA, objects)).length === objects.length;
    return { live, rebuilding, whole };
  }

  private async lead(lease: Lease, checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    const { surroundings, projection, watcher, nudge, retries } = this;
    const { name, version, categories } = projection;
    this.evenIfStopped = false;
    if (checkpoint.version === 0) {
      if (!(await this.createLive(lease))) return;
    } else if (checkpoint.version !== version) return;
    this.leading = true;
    const { db, log } = surroundings;
    const target: Target = { db, log, projection, schema: LIVE_SCHEMA, inBackground: false };
    const tell = () => watcher.passed(name, version, lease);
    const onMoved = () => {
      retries.succeeded();
      tell();
    };
    await followUnderLease({
      db,
      log,
      lease,
      categories,
      concerns: (event) => projection.concerns?.(event) ?? true,
      limit: this.options.limit ?? LIMIT,
      signal,
      nudge,
      wanted: () => watcher.wanted(name),
      onEvents: (events, mark) => applyBatch(target, lease, events, mark),
      onProven: tell,
      onMoved,
    });
  }

  /** The very first tables, empty, where they are read. False where a rebuild is under way: it makes them. */
  private async createLive(lease: Lease): Promise<boolean> {
    const { db } = this.surroundings;
    const { name, version } = this.projection;
    return creating(db, async (tx) => {
      await lockProjection(tx, name);
      const rebuilds = await readCheckpoints(tx, { table: 'rebuilds', names: [name] });
      if (rebuilds.has(name)) return false;
      const { numAffectedRows } = await sql`
        update projector.checkpoints set version = ${version}
         where name = ${name} and epoch = ${lease.epoch}::bigint and version = 0`.execute(tx);
      if (numAffectedRows === 0n) throw new OwnershipLost(name);
      const made = await createBeside(tx, this.projection);
      await switchIn(tx, this.projection, made, []);
      await sql`update projector.checkpoints set objects = ${JSON.stringify(made)}::jsonb
                 where name = ${name}`.execute(tx);
      return true;
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
