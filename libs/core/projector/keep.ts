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
  | { readonly kind: 'took-over'; readonly name: string; readonly position: Position }
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
const LONGEST_RETRY = 10_000;

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
  readonly evenIfStopped: boolean;
  readonly signal: AbortSignal;
  readonly retries: Retries;
}

export type TurnResult = 'done' | 'lost' | 'busy' | 'stopped' | 'failed';

/**
 * One turn of ownership: takes the lease, does `work` under it, gives it back. `busy` where the lease
 * could not be had, `stopped` where the work must stop and said so in the checkpoint, `failed` where
 * something came between that is expected to pass; then the time to wait was waited. Never rejects but
 * for what `work` throws of kind `Rethrown`.
 */
export async function takeTurn(
  surroundings: Surroundings,
  turn: Turn,
  work: (lease: Lease, checkpoint: Checkpoint) => Promise<void>,
): Promise<TurnResult> {
  const { db, report, owner, leaseMilliseconds } = surroundings;
  const { table, name, retries } = turn;
  let lease: Lease | undefined;
  try {
    const claim = { table, name, owner, milliseconds: leaseMilliseconds };
    const taken = await acquire(db, { ...claim, evenIfStopped: turn.evenIfStopped });
    if (taken === undefined) return 'busy';
    lease = taken.lease;
    report({ kind: 'took-over', name, position: lease.position });
    await work(lease, taken.checkpoint);
    await release(db, lease);
    return 'done';
  } catch (error) {
    if (error instanceof OwnershipLost) {
      report({ kind: 'lost', name });
      return 'lost';
    }
    try {
      if (error instanceof MustStop && lease !== undefined) {
        await stopWith(db, lease, error);
        const { position, code, message } = error;
        report({ kind: 'stopped', name, position, code, message });
        return 'stopped';
      }
      // Somebody else may have what this process lacks.
      if (lease !== undefined) await release(db, lease);
    } catch {
      // The database is away as well; the lease runs out.
    }
    await retries.wait(surroundings, name, error, turn.signal);
    return 'failed';
  }
}
