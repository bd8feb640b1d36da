import { type Kysely, sql } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import {
  type Anchor,
  type Checkpoint,
  checkpointColumns,
  checkpointFrom,
  type CheckpointTable,
  tableOf,
} from './checkpoint.js';
import { type MustStop, OwnershipLost } from './failure.js';

/**
 * The right to write the rows of some partitions of a projection, held by one runner at a time. What
 * protects the rows is not the lease's time but its epochs: every write moves the checkpoints from the
 * position the owner knows, under the epochs the owner was given, in the transaction of the rows. An owner
 * that slept through its lease finds another epoch and writes nothing.
 *
 * The partitions of one lease are at the same position and move together: a process that keeps all of them
 * reads the log once and commits once a batch, as if there were one.
 *
 * All times are the database's, so the clocks of the processes do not matter.
 */
export interface Lease {
  readonly table: CheckpointTable;
  readonly name: string;
  readonly owner: string;
  /** Of each partition; what is written under none of these is not written. */
  readonly epochs: Map<number, string>;
  readonly milliseconds: number;
  /** As the checkpoint has it; moves with every `advance`. */
  position: Position;
  anchor: Anchor | undefined;
  ledgerId: string | undefined;
  /** By this process's monotonic clock, before the database was last asked for more time. */
  renewedAt: number;
}

export interface Claim {
  readonly table: CheckpointTable;
  readonly name: string;
  readonly partitions: readonly number[];
  readonly owner: string;
  readonly milliseconds: number;
  /** Also where it was stopped: it is then tried once more. */
  readonly evenIfStopped: boolean;
}

/**
 * Takes those partitions that nobody holds, whose holder's time is up, or whose holder was this same owner:
 * a lease for those at one position each. A row that another transaction has locked counts as held: its
 * owner is in the middle of a batch. One written in the future counts as free, for the clock was set back,
 * and its time would not be up for long. None where nothing can be had now.
 */
export async function acquire(
  db: Kysely<unknown>,
  claim: Claim,
): Promise<readonly { readonly lease: Lease; readonly checkpoint: Checkpoint }[]> {
  const table = tableOf(claim.table);
  const renewedAt = performance.now();
  const { rows } = await sql`
    with free as materialized (
      select name as of_name, partition as of_partition from ${table}
       where name = ${claim.name} and partition = any(${[...claim.partitions]})
         and (owner is null or owner = ${claim.owner} or lease_until < clock_timestamp()
              or updated_at > clock_timestamp() + interval '5 seconds')
         and (${claim.evenIfStopped} or status <> 'stopped')
       order by partition for update skip locked)
    update ${table} set owner = ${claim.owner}, epoch = epoch + 1, error = null,
           status = case status when 'stopped' then 'running' else status end,
           lease_until = clock_timestamp() + ${claim.milliseconds} * interval '1 millisecond',
           updated_at = clock_timestamp()
      from free where name = of_name and partition = of_partition
    returning ${checkpointColumns}`.execute(db);
  const taken = new Map<Position, { lease: Lease; checkpoint: Checkpoint }>();
  for (const checkpoint of rows.map(checkpointFrom)) {
    const { partition, epoch, position, anchor, ledgerId } = checkpoint;
    const together = taken.get(position);
    if (together) together.lease.epochs.set(partition, epoch);
    else {
      const { table, name, owner, milliseconds } = claim;
      const epochs = new Map([[partition, epoch]]);
      const own = { table, name, owner, milliseconds, epochs, position, anchor, ledgerId };
      taken.set(position, { lease: { ...own, renewedAt }, checkpoint });
    }
  }
  return [...taken.values()];
}

export interface Advance {
  readonly to: Position;
  readonly anchor: Anchor | undefined;
  readonly ledgerId: string | undefined;
  /** Events that this step applied, by partition; each counts in one. */
  readonly applied: ReadonlyMap<number, number>;
  /**
   * Everything recorded before this moment of the process's monotonic clock (`performance.now()`) is in the
   * rows with this step. Undefined where the step does not know more than what is stored.
   */
  readonly caughtUpAt?: number;
}

/** Milliseconds between two statements of a transaction of ours, at the most. */
const LONGEST_PAUSE = 5_000;

/**
 * Moves the checkpoints and renews the lease. The rows of the same transaction `tx` go to `schema`: it
 * becomes the search path. The checkpoints stay locked until `tx` ends, which keeps every other runner out;
 * should this process freeze or be cut off meanwhile, the database ends the transaction after some seconds.
 *
 * The commit does not wait for the disk. Rows and checkpoint are lost or kept together, and the log, which
 * both come from, is durable: what a crash of the database takes back is applied again.
 *
 * Throws OwnershipLost where epoch or position of any partition are not what this owner knows. The caller
 * sets the lease's position once `tx` is committed (`advanced`).
 */
export async function advance(
  tx: Kysely<unknown>,
  lease: Lease,
  step: Advance,
  schema?: string,
): Promise<void> {
  const caughtUpAt = momentOf(step.caughtUpAt);
  const path = schema === undefined ? sql`` : setting('search_path', searchPath(schema));
  const pause = Math.min(lease.milliseconds, LONGEST_PAUSE);
  const idle = setting('idle_in_transaction_session_timeout', String(pause));
  const deferred = setting('synchronous_commit', 'off');
  const { rows } = await sql`
    with ${held(lease, step.applied)}
    update ${tableOf(lease.table)}
       set position = ${step.to}::bigint,
           anchor_position = ${step.anchor?.position ?? '0'}::bigint,
           event_id = ${step.anchor?.eventId ?? null},
           ledger_id = ${step.ledgerId ?? null},
           applied = applied + just_applied,
           caught_up_at = case when caught_up_at > clock_timestamp() then ${caughtUpAt}
                               else greatest(caught_up_at, ${caughtUpAt}) end,
           lease_until = clock_timestamp() + ${lease.milliseconds} * interval '1 millisecond',
           updated_at = clock_timestamp()
      from held where name = of_name and partition = of_partition
       and position = ${lease.position}::bigint
    returning name ${idle} ${deferred} ${path}`.execute(tx);
  if (rows.length < lease.epochs.size) throw new OwnershipLost(lease.name);
}

/**
 * The rows of a lease, as far as they are still its own, locked in the order of their numbers: whoever
 * waits for several of them waits in the same order.
 */
function held(lease: Lease, applied?: Advance['applied']) {
  const partitions = [...lease.epochs.keys()];
  return sql`held as materialized (
    select c.name as of_name, c.partition as of_partition, own.applied as just_applied
      from ${tableOf(lease.table)} c, unnest(${partitions}::integer[],
             ${[...lease.epochs.values()]}::bigint[],
             ${partitions.map((partition) => applied?.get(partition) ?? 0)}::integer[])
           as own (partition, epoch, applied)
     where c.name = ${lease.name} and c.partition = own.partition and c.epoch = own.epoch
     order by c.partition for update of c)`;
}

/** For the rest of the transaction. */
function setting(name: string, value: string) {
  return sql`, set_config(${sql.lit(name)}, ${value}, true)`;
}

/** Remembers in memory what `advance` wrote, after its transaction was committed. */
export function advanced(lease: Lease, step: Advance): void {
  lease.position = step.to;
  lease.anchor = step.anchor;
  lease.ledgerId = step.ledgerId;
}

/** Only more time. Throws OwnershipLost. */
export async function renew(db: Kysely<unknown>, lease: Lease): Promise<void> {
  const asked = performance.now();
  const { numAffectedRows = 0n } = await sql`
    with ${held(lease)}
    update ${tableOf(lease.table)}
       set lease_until = clock_timestamp() + ${lease.milliseconds} * interval '1 millisecond',
           updated_at = clock_timestamp()
      from held where name = of_name and partition = of_partition`.execute(db);
  if (numAffectedRows < lease.epochs.size) throw new OwnershipLost(lease.name);
  lease.renewedAt = asked;
}

/**
 * Makes sure that the lease holds for some while yet, before something is done that no transaction can
 * take back. A process that was frozen finds out here. Throws OwnershipLost.
 */
export async function assertHeld(db: Kysely<unknown>, lease: Lease): Promise<void> {
  if (performance.now() - lease.renewedAt > lease.milliseconds / 2) await renew(db, lease);
}

/** Lets another runner take over at once. Nothing happens to what was lost. */
export async function release(db: Kysely<unknown>, lease: Lease): Promise<void> {
  await sql`
    with ${held(lease)}
    update ${tableOf(lease.table)}
       set owner = null, lease_until = null, updated_at = clock_timestamp()
      from held where name = of_name and partition = of_partition`.execute(db);
}

/** Records why it stands still, and gives the lease back: nobody takes it up until it is resumed. */
export async function stopWith(db: Kysely<unknown>, lease: Lease, reason: MustStop): Promise<void> {
  const error = { position: reason.position, code: reason.code, message: reason.message };
  const { numAffectedRows = 0n } = await sql`
    with ${held(lease)}
    update ${tableOf(lease.table)}
       set status = 'stopped', error = ${JSON.stringify(error)}::jsonb, owner = null,
           lease_until = null, updated_at = clock_timestamp()
      from held where name = of_name and partition = of_partition`.execute(db);
  if (numAffectedRows < lease.epochs.size) throw new OwnershipLost(lease.name);
}

/** Cuts these partitions off a lease, as one of their own. What is left may be empty. */
export function splitOff(lease: Lease, partitions: Iterable<number>): Lease {
  const epochs = new Map<number, string>();
  for (const partition of partitions) {
    const epoch = lease.epochs.get(partition);
    if (epoch !== undefined) epochs.set(partition, epoch);
    lease.epochs.delete(partition);
  }
  return { ...lease, epochs };
}

/** Two leases that have come to the same position go on as one. */
export function join(lease: Lease, joining: Lease): void {
  if (joining.position !== lease.position)
    throw new Error(`partitions at ${joining.position} can not join those at ${lease.position}`);
  for (const [partition, epoch] of joining.epochs) lease.epochs.set(partition, epoch);
  joining.epochs.clear();
  lease.renewedAt = Math.min(lease.renewedAt, joining.renewedAt);
}

/** The epoch of what is driven in one piece: a reactor or a rebuild. */
export function epochOf(lease: Lease): string {
  const [epoch] = lease.epochs.values();
  if (epoch === undefined) throw new OwnershipLost(lease.name);
  return epoch;
}

/** Sets what was stopped going again; true where it was stopped. */
export async function resume(
  db: Kysely<unknown>,
  table: CheckpointTable,
  name: string,
): Promise<boolean> {
  const { numAffectedRows = 0n } = await sql`
    update ${tableOf(table)} set status = 'running', error = null, updated_at = clock_timestamp()
     where name = ${name} and status = 'stopped'`.execute(db);
  return numAffectedRows > 0n;
}

/** Names that are not qualified are this schema's, and never those of a temporary table. */
export function searchPath(schema: string): string {
  return `"${schema}", pg_temp`;
}

/** No clock of ours enters what is stored: only how long ago it was. */
function momentOf(caughtUpAt: number | undefined) {
  if (caughtUpAt === undefined) return sql`null::timestamptz`;
  return sql`clock_timestamp() - ${performance.now() - caughtUpAt} * interval '1 millisecond'`;
}

/**
 * Renews the lease while `work` goes on outside of any transaction on its row. Where it is lost, the
 * signal aborts, and OwnershipLost is thrown once `work` has ended.
 */
export async function whileRenewing<T>(
  db: Kysely<unknown>,
  lease: Lease,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController();
  const renewing = setInterval(() => {
    renew(db, lease).catch((error: unknown) => {
      // A renewal that fails otherwise is tried again; the epoch guards what is written.
      if (error instanceof OwnershipLost) lost.abort(error);
    });
  }, lease.milliseconds / 3);
  try {
    return await work(lost.signal);
  } finally {
    clearInterval(renewing);
    if (lost.signal.aborted) throw new OwnershipLost(lease.name);
  }
}
