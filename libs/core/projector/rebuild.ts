import { type Kysely, sql, type Transaction } from 'kysely';
import { comparePositions, earlierOf, type Position, START } from '#core/kernel/position.js';
import { appliedBy, applyBatch, applyWithin, type Mark, markOf, type Target } from './apply.js';
import {
  type Checkpoint,
  checkpointColumns,
  checkpointFrom,
  ensureCheckpoint,
  readCheckpoints,
  type TableObject,
  wholeOf,
} from './checkpoint.js';
import { describe, isPassing, MustStop, OwnershipLost } from './failure.js';
import { proveCheckpoint } from './follow.js';
import { Retries, type Surroundings, takeTurn, type TurnResult } from './keep.js';
import { type Advance, advanced, epochOf, type Lease, whileRenewing } from './lease.js';
import { ledgerIdOf, pagesToHead, reading } from './log-reader.js';
import { Nudge } from './nudge.js';
import type { Projection } from './projection.js';
import {
  createBeside,
  creating,
  keepReadersOut,
  keepVacuumOut,
  LIVE_SCHEMA,
  lockProjection,
  present,
  rebuildSchemaOf,
  switchIn,
  vacuum,
} from './tables.js';

/*
 * A read model is rebuilt beside the one that is read, and takes its place in one transaction:
 *
 *   1. tables in the schema rebuild_<name>, filled from the log's beginning, with a checkpoint of their own
 *      (projector.rebuilds): a rebuild that was killed goes on where it was;
 *   2. near the log's end: lock the live checkpoints, which stops the live runners between two batches;
 *      apply what came meanwhile, at least as far as any live row is; wait briefly until nobody reads;
 *      drop the live tables, move the new ones into read_models, replace the checkpoints, commit.
 *
 * One process fills the tables of all partitions; from the switch on each has its checkpoint again.
 *
 * A reader sees the one or the other and never less than before. A statement that waits for a table while
 * it is replaced looks its name up again once the lock is free and reads the new one; prepared statements
 * are planned anew. While long readers are at work the switch is put off, and the rebuild follows the log.
 */

/** Events a batch, where nobody waits for them to be visible. */
const LIMIT = 2_000;
/** Between two attempts to switch: the first, and the longest, in milliseconds. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2_000;
/** How long readers may be kept waiting by one attempt: less than PostgreSQL's deadlock_timeout, 1 s. */
const SWITCH_PATIENCE = 400;

export interface RebuildProgress {
  readonly name: string;
  /** Events applied. */
  readonly done: number;
  /** How far it is along the log: 0 to 1. Positions are not counted, so this is an estimate. */
  readonly share: number;
  readonly position: Position;
  readonly phase: 'filling' | 'switching' | 'switched';
}

export interface RebuildOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RebuildProgress) => void;
  /** Discards what an earlier rebuild left, which would else be continued. */
  readonly fromScratch?: boolean;
  /** Events a batch. */
  readonly limit?: number;
}

/** Another process rebuilds this projection now. */
export class RebuildRunning extends Error {
  override readonly name = 'RebuildRunning';
  constructor(readonly projection: string) {
    super(`${projection} is being rebuilt by another process`);
  }
}

/**
 * Rebuilds a projection beside the live one and switches. Returns where the log stood at the switch.
 *
 * Throws RebuildRunning, MustStop where an event can not be applied (the live tables stay as they are),
 * or the reason of `signal`; then what was built is kept, and the next rebuild goes on from there.
 */
export async function rebuild(
  surroundings: Surroundings,
  projection: Projection,
  options: RebuildOptions = {},
): Promise<Position> {
  const signal = options.signal ?? new AbortController().signal;
  const retries = new Retries();
  const nudge = new Nudge();
  const { name, partitions } = projection;
  await ensureCheckpoint(surroundings.db, 'checkpoints', name, 'projection', partitions);
  for (let fromScratch = options.fromScratch ?? false; ;) {
    signal.throwIfAborted();
    const begun = () => (fromScratch = false);
    const turn = { ...options, signal, retries, nudge, evenIfStopped: true, fromScratch, begun };
    const { result, switchedAt } = await rebuildTurn(surroundings, projection, turn);
    if (switchedAt !== undefined) return switchedAt;
    if (result === 'busy') throw new RebuildRunning(projection.name);
    if (result === 'stopped') throw await stopOf(surroundings.db, projection.name);
  }
}

async function stopOf(db: Kysely<unknown>, name: string): Promise<Error> {
  const row = (await readCheckpoints(db, { table: 'rebuilds', names: [name] })).get(name);
  if (row?.error === undefined) return new Error(`the rebuild of ${name} was stopped`);
  const { position, code, message } = row.error;
  return new MustStop(position, code as MustStop['code'], message);
}

export interface RebuildTurn extends RebuildOptions {
  readonly signal: AbortSignal;
  readonly retries: Retries;
  readonly nudge: Nudge;
  readonly evenIfStopped: boolean;
  /** Called once the tables of this rebuild are there. */
  readonly begun?: () => void;
}

/** One turn at a rebuild, until it has switched, must stop, is aborted or fails in a way that passes. */
export async function rebuildTurn(
  surroundings: Surroundings,
  projection: Projection,
  turn: RebuildTurn,
): Promise<{ result: TurnResult; switchedAt: Position | undefined }> {
  const { name } = projection;
  let switchedAt: Position | undefined;
  try {
    await ensureCheckpoint(surroundings.db, 'rebuilds', name, 'projection');
  } catch (error) {
    await turn.retries.wait(surroundings, name, error, turn.signal);
    return { result: 'failed', switchedAt };
  }
  const result = await takeTurn(
    surroundings,
    { ...turn, table: 'rebuilds', name },
    async ([lease], checkpoint) => {
      switchedAt = await new Rebuild(surroundings, projection, turn, lease).run(checkpoint);
    },
  );
  return { result, switchedAt };
}

class Rebuild {
  private readonly target: Target;
  private done = 0;
  private head: Position = START;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly projection: Projection,
    private readonly turn: RebuildTurn,
    private readonly lease: Lease,
  ) {
    const { db, log } = surroundings;
    const schema = rebuildSchemaOf(projection.name);
    this.target = { db, log, projection, schema, inBackground: true };
  }

  /** Where it switched; undefined where it was aborted before. */
  async run(checkpoint: Checkpoint): Promise<Position | undefined> {
    const { signal, nudge, retries } = this.turn;
    const { name } = this.projection;
    const objects = await this.begin(checkpoint);
    this.turn.begun?.();
    await this.fill();
    if (signal.aborted) return undefined;
    await this.tidy(objects);
    for (let attempt = 1; !signal.aborted; attempt++) {
      await this.fill();
      if (signal.aborted) return undefined;
      this.progress('switching');
      try {
        const position = await this.switch(objects);
        this.progress('switched');
        this.surroundings.report({ kind: 'switched', name, position });
        retries.succeeded();
        return position;
      } catch (error) {
        if (!(error instanceof NotNow)) throw error;
        this.surroundings.report({ kind: 'switch-waits', name, attempt });
        await nudge.sleep(Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE), signal);
      }
    }
    return undefined;
  }

  /** The tables to fill: those begun before, where they are of this version and this log. */
  private async begin(checkpoint: Checkpoint): Promise<readonly TableObject[]> {
    const { version } = this.projection;
    const usable =
      checkpoint.version === version &&
      !this.turn.fromScratch &&
      (await this.isWhole(checkpoint)) &&
      (await this.isOfThisLog());
    if (!usable) return this.startOver();
    this.done = checkpoint.applied;
    return checkpoint.objects;
  }

  private async isWhole({ objects }: Checkpoint): Promise<boolean> {
    const { db, schema } = this.target;
    return (await present(db, schema, objects)).length === objects.length;
  }

  private async isOfThisLog(): Promise<boolean> {
    try {
      await proveCheckpoint(this.target.log, this.lease);
      return true;
    } catch (error) {
      // Nobody reads these rows: what does not fit the log is made again.
      if (error instanceof MustStop && error.code === 'checkpoint-not-in-log') return false;
      throw error;
    }
  }

  private async startOver(): Promise<readonly TableObject[]> {
    const { lease, projection } = this;
    const objects = await creating(this.target.db, async (tx) => {
      await lockProjection(tx, projection.name);
      const { numAffectedRows } = await sql`
        update projector.rebuilds
           set version = ${projection.version}, position = 0, anchor_position = 0, event_id = null,
               ledger_id = null, applied = 0, caught_up_at = null
         where name = ${lease.name} and epoch = ${epochOf(lease)}::bigint`.execute(tx);
      if (numAffectedRows === 0n) throw new OwnershipLost(lease.name);
      const made = await createBeside(tx, projection);
      await sql`update projector.rebuilds set objects = ${JSON.stringify(made)}::jsonb
                 where name = ${lease.name}`.execute(tx);
      return made;
    });
    advanced(lease, { to: START, anchor: undefined, ledgerId: undefined, applied: new Map() });
    this.done = 0;
    return objects;
  }

  /** Applies pages until one is not full: then the end is near. */
  private async fill(): Promise<void> {
    const { lease, target, turn } = this;
    const limit = turn.limit ?? LIMIT;
    this.head = (await reading(() => target.log.head()))?.position ?? START;
    for await (const page of this.pages(limit)) {
      if (turn.signal.aborted) return;
      await applyBatch(target, lease, page.events, await this.mark(page, lease));
      this.done += page.events.length;
      turn.retries.succeeded();
      this.progress('filling');
      if (page.events.length < limit && comparePositions(lease.position, this.head) >= 0) return;
    }
  }

  /** Statistics and visibility map, so that the first readers after the switch find good plans. */
  private async tidy(objects: readonly TableObject[]): Promise<void> {
    if (this.done === 0) return;
    const { db, schema } = this.target;
    await whileRenewing(db, this.lease, () => vacuum(db, schema, objects));
  }

  /** Throws NotNow where readers, or the live runner, could not be waited for. */
  private async switch(fresh: readonly TableObject[]): Promise<Position> {
    const { target, lease, projection } = this;
    // The transaction may be rolled back: it moves a lease of its own.
    const within = { ...lease };
    try {
      await target.db.transaction().execute(async (tx) => {
        await sql`select set_config('lock_timeout', '5s', true),
                         set_config('statement_timeout', '0', true)`.execute(tx);
        const seen = await this.live(tx, sql``);
        const old = await present(tx, LIVE_SCHEMA, seen[0]?.objects ?? []);
        await keepVacuumOut(tx, LIVE_SCHEMA, old);
        await keepVacuumOut(tx, target.schema, fresh);
        const live = await this.live(tx, sql`for update`);
        if (live[0]?.version !== seen[0]?.version || live.length !== seen.length)
          throw new NotNow();
        await this.catchUp(tx, within, live);
        await keepReadersOut(tx, old, SWITCH_PATIENCE);
        await switchIn(tx, projection, fresh, old);
        await this.replaceCheckpoints(tx, live);
      });
      return within.position;
    } catch (error) {
      if (error instanceof OwnershipLost || error instanceof NotNow) throw error;
      if (isPassing(error)) throw new NotNow(error);
      throw new MustStop(within.position, 'switch-failed', describe(error));
    }
  }

  private async live(
    tx: Transaction<unknown>,
    locking: ReturnType<typeof sql>,
  ): Promise<readonly Checkpoint[]> {
    const { rows } = await sql`select ${checkpointColumns} from projector.checkpoints
      where name = ${this.projection.name} order by partition ${locking}`.execute(tx);
    return rows.map(checkpointFrom);
  }

  private async catchUp(
    tx: Transaction<unknown>,
    within: Lease,
    live: readonly Checkpoint[],
  ): Promise<void> {
    const limit = this.turn.limit ?? LIMIT;
    try {
      // Also where nothing came: it proves the ownership and locks the row.
      await this.applyAndMove(tx, within, { events: [], scannedTo: within.position });
      for await (const page of this.pages(limit, within)) {
        await this.applyAndMove(tx, within, page);
        if (page.events.length < limit && !live.some((one) => isBehind(within, one))) break;
      }
    } catch (error) {
      if (error instanceof OwnershipLost) throw error;
      // Filling meets the same event again and finds out which one it is.
      throw new NotNow(error);
    }
    // Rows made from another log, or one that was cut, are no measure.
    const comparable = live.filter(
      ({ ledgerId, error }) =>
        (ledgerId === undefined || ledgerId === within.ledgerId) &&
        error?.code !== 'checkpoint-not-in-log',
    );
    if (comparable.some((one) => isBehind(within, one))) throw new NotNow();
  }

  private async applyAndMove(
    tx: Transaction<unknown>,
    within: Lease,
    page: Parameters<typeof markOf>[1],
  ): Promise<void> {
    const { events } = page;
    const applied = appliedBy(this.projection, within, events);
    const step: Advance = { ...(await this.mark(page, within)), applied };
    await applyWithin(tx, this.target, within, events, step);
    advanced(within, step);
  }

  /** As many as this version has partitions, all where the rebuild is, under epochs that nobody was given yet. */
  private async replaceCheckpoints(
    tx: Transaction<unknown>,
    live: readonly Checkpoint[],
  ): Promise<void> {
    const { name, partitions } = this.projection;
    const epoch = live.reduce((last, one) => Math.max(last, Number(one.epoch)), 0) + 1;
    await sql`delete from projector.checkpoints where name = ${name}`.execute(tx);
    await sql`
      insert into projector.checkpoints (name, partition, kind, version, position, anchor_position,
             event_id, ledger_id, applied, objects, caught_up_at, epoch)
      select name, of_partition, kind, version, position, anchor_position, event_id, ledger_id,
             case of_partition when 0 then applied else 0 end, objects,
             greatest(caught_up_at, ${wholeOf(live as [Checkpoint]).caughtUpAt ?? null}), ${epoch}
        from projector.rebuilds, generate_series(0, ${partitions - 1}) as of_partition
       where name = ${name}`.execute(tx);
    await sql`delete from projector.rebuilds where name = ${name}`.execute(tx);
  }

  private pages(limit: number, from: Lease = this.lease) {
    const { categories } = this.projection;
    return pagesToHead(this.target.log, from.position, { categories, limit });
  }

  private async mark(page: Parameters<typeof markOf>[1], lease: Lease): Promise<Mark> {
    const { log } = this.target;
    const ledgerId = lease.ledgerId ?? (await ledgerIdOf(log));
    const known: Mark = { to: lease.position, anchor: lease.anchor, ledgerId };
    return page.scannedTo === lease.position ? known : markOf(log, page, known);
  }

  private progress(phase: RebuildProgress['phase']): void {
    const { position } = this.lease;
    const { name } = this.projection;
    const share =
      this.head === START ? 1 : Number(earlierOf(position, this.head)) / Number(this.head);
    this.turn.onProgress?.({ name, done: this.done, share, position, phase });
  }
}

function isBehind(lease: Lease, live: Checkpoint): boolean {
  return comparePositions(lease.position, live.position) < 0;
}

/** Somebody is at work who is not to be disturbed: the switch is tried again. */
class NotNow extends Error {
  override readonly name = 'NotNow';
  constructor(cause?: unknown) {
    super('the switch has to wait', { cause });
  }
}
