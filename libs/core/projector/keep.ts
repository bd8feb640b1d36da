import type { Kysely } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import type { Checkpoint, CheckpointTable } from './checkpoint.js';
import { describe, MustStop, OwnershipLost, reasonOf } from './failure.js';
import { acquire, type Lease, release, stopWith } from './lease.js';
import type { LogReader } from './log-reader.js';
import { Nudge } from './nudge.js';

/** What all runners of one process share. */
export interface Surroundings {
  readonly db: Kysely<unknown>;
  readonly log: LogReader;
  /** Names this process among the owners; another one after every start. */
  readonly owner: string;
  readonly leaseMilliseconds: number;
  readonly report: (notice: Notice) => void;
}

/** What an operator wants to know, for logs and metrics. No personal data is in one. */
export type Notice =
  | {
      readonly kind: 'took-over';
      readonly name: string;
      readonly partitions: readonly number[];
      readonly position: Position;
    }
  | { readonly kind: 'gave-away'; readonly name: string; readonly partitions: readonly number[] }
  | { readonly kind: 'lost'; readonly name: string }
  | {
      readonly kind: 'retrying';
      readonly name: string;
      readonly reason: string;
      readonly attempt: number;
      readonly message: string;
    }
  | {
      readonly kind: 'stopped';
      readonly name: string;
      readonly partitions: readonly number[];
      readonly position: Position;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'outdated'; readonly name: string; readonly version: number }
  | { readonly kind: 'switch-waits'; readonly name: string; readonly attempt: number }
  | { readonly kind: 'switched'; readonly name: string; readonly position: Position }
  | {
      readonly kind: 'parked';
      readonly name: string;
      readonly position: Position;
      readonly reason: string;
      readonly attempts: number;
    };

/** Between tries after something that passes: the first, and the longest, in milliseconds. */
const FIRST_RETRY = 100;
const LONGEST_RETRY = 2_000;

/** Counts tries after something that passes, and says how long to wait for the next. */
export class Retries {
  private attempt = 0;
  /** Why the last try failed; undefined after one that did not. */
  reason: string | undefined;

  succeeded(): void {
    this.attempt = 0;
    this.reason = undefined;
  }

  /** Counts a failure, tells of it and waits, which nobody who waits for us can cut short. */
  async wait(
    surroundings: Surroundings,
    name: string,
    error: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    await new Nudge().sleep(this.failed(surroundings, name, error), signal);
  }

  private failed(surroundings: Surroundings, name: string, error: unknown): number {
    this.attempt++;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    this.reason = reasonOf(cause);
    const { reason, attempt } = this;
    surroundings.report({ kind: 'retrying', name, reason, attempt, message: describe(cause) });
    const longest = Math.min(FIRST_RETRY * 2 ** (this.attempt - 1), LONGEST_RETRY);
    return longest / 2 + (Math.random() * longest) / 2;
  }
}

export interface Turn {
  readonly table: CheckpointTable;
  readonly name: string;
  /** Where none is given, it is all in one piece. */
  readonly partitions?: readonly number[];
  readonly evenIfStopped: boolean;
  readonly signal: AbortSignal;
  readonly retries: Retries;
}

export type TurnResult = 'done' | 'lost' | 'busy' | 'stopped' | 'failed';

/**
 * One turn of ownership: takes what can be had, does `work` under it, gives it back. The work may take and
 * give away partitions meanwhile: what it holds is what stands in `leases`. `busy` where nothing could be
 * had, `stopped` where the work must stop and said so in the checkpoint, `failed` where something came
 * between that is expected to pass; then the time to wait was waited. Never rejects.
 */
export async function takeTurn(
  surroundings: Surroundings,
  turn: Turn,
  work: (leases: [Lease, ...Lease[]], checkpoint: Checkpoint) => Promise<void>,
): Promise<TurnResult> {
  const { db, report } = surroundings;
  const { name, retries } = turn;
  let leases: Lease[] = [];
  const releaseAll = async () => {
    for (const lease of leases) if (lease.epochs.size > 0) await release(db, lease);
  };
  try {
    const taken = await take(surroundings, turn);
    leases = taken.map(({ lease }) => lease);
    const [first] = taken;
    if (first === undefined) return 'busy';
    await work(leases as [Lease, ...Lease[]], first.checkpoint);
    await releaseAll();
    return 'done';
  } catch (error) {
    try {
      if (error instanceof OwnershipLost) {
        report({ kind: 'lost', name });
        await releaseAll();
        return 'lost';
      }
      if (error instanceof MustStop) {
        for (const lease of leases) await stop(surroundings, lease, error);
        return 'stopped';
      }
      // Somebody else may have what this process lacks.
      await releaseAll();
    } catch {
      // The database is away as well; the lease runs out.
    }
    await retries.wait(surroundings, name, error, turn.signal);
    return 'failed';
  }
}

/** Takes what can be had of the partitions asked for, and tells of it. */
export async function take(
  { db, report, owner, leaseMilliseconds }: Surroundings,
  { table, name, partitions = [0], evenIfStopped }: Omit<Turn, 'signal' | 'retries'>,
): ReturnType<typeof acquire> {
  const claim = { table, name, partitions, owner, milliseconds: leaseMilliseconds, evenIfStopped };
  const taken = await acquire(db, claim);
  for (const { lease } of taken) {
    const { epochs, position } = lease;
    report({ kind: 'took-over', name, partitions: [...epochs.keys()], position });
  }
  return taken;
}

/** Records why the partitions of a lease stand still, and tells of it. */
export async function stop(
  { db, report }: Surroundings,
  lease: Lease,
  reason: MustStop,
): Promise<void> {
  await stopWith(db, lease, reason);
  const { name, epochs } = lease;
  const { position, code, message } = reason;
  report({ kind: 'stopped', name, partitions: [...epochs.keys()], position, code, message });
}
