import type { Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';

/**
 * A read model: tables that are projected from the log and may be dropped at any time. One file owns one
 * model: its tables, what each event makes of them, and every query on them.
 */
export interface Projection {
  /** Also the checkpoint's name. */
  readonly name: string;
  /** Raise it when tables or meaning change: the next start rebuilds beside and switches. */
  readonly version: number;
  /** Stream categories that it follows. */
  readonly categories: readonly string[];
  /** Whether it makes anything of an event; absent: of all. Others may be passed over, and need not be. */
  concerns?(event: Recorded): boolean;
  /** Creates the tables in `tx`, unqualified: the search path of `tx` is the schema to create them in. */
  create(tx: Transaction<unknown>): Promise<void>;
  /**
   * Writes what the batch makes of the tables, in order of position; in one transaction with the
   * checkpoint. MUST throw on what it can not handle: the projection then stops there, visibly.
   * MUST depend on the log and its own tables only, so that a rebuild gives the same rows.
   * MUST check what it keeps in memory against the event it meets: a batch may have been rolled back, and a
   * rebuild applies other batches in between, though never at the same time.
   */
  apply(batch: readonly Recorded[], context: ProjectionContext): Promise<void>;
}

export interface ProjectionContext {
  /**
   * Its search path is the schema that holds this projection's tables, live or being rebuilt: name them
   * unqualified. `tx.withTables<Mine>()` gives typed queries.
   */
  readonly tx: Transaction<unknown>;
  /** Whole streams up to and including `upTo`, decoded, in one round trip. */
  readStreams(
    streams: readonly StreamName[],
    upTo: Position,
  ): Promise<ReadonlyMap<StreamName, readonly Recorded[]>>;
}
