import type { Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { categoryOf, type StreamName } from '#core/kernel/ids.js';
import { partitionOf } from '#core/kernel/partition.js';
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
  /**
   * How many parts its rows fall into, so that several processes can keep them, each part with a checkpoint
   * of its own. A stream's events are all in one part (`partitionOf`). 1: its rows can not be told apart by
   * stream, or are too few to be worth it. Another number is another version.
   */
  readonly partitions: number;
  /** Categories whose events concern the rows of every partition: each gets all of them. */
  readonly everywhere?: readonly string[];
  /** Creates the tables in `tx`, unqualified: the search path of `tx` is the schema to create them in. */
  create(tx: Transaction<unknown>): Promise<void>;
  /**
   * Writes what the batch makes of the tables, in order of position; in one transaction with the
   * checkpoint. MUST throw on what it can not handle: the projection then stops there, visibly.
   * MUST depend on the log and its own tables only, so that a rebuild gives the same rows.
   * MUST read and write rows of `context.partitions` only: the others are at other positions of the log.
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
  /** Whose events these are, in ascending order: all of them, or those that this process keeps. */
  readonly partitions: readonly [number, ...number[]];
  /** Whole streams up to and including `upTo`, decoded, in one round trip. */
  readStreams(
    streams: readonly StreamName[],
    upTo: Position,
  ): Promise<ReadonlyMap<StreamName, readonly Recorded[]>>;
}

type Partitioned = Pick<Projection, 'partitions' | 'everywhere'>;

/** The one partition that an event of this stream belongs to; undefined: it concerns each of them. */
export function partitionFor(projection: Partitioned, stream: StreamName): number | undefined {
  if (projection.everywhere?.includes(categoryOf(stream))) return undefined;
  return partitionOf(stream, projection.partitions);
}

/** All partitions of a projection, from 0 on. */
export function partitionsOf({ partitions }: Partitioned): readonly [number, ...number[]] {
  return Array.from({ length: partitions }, (_, partition) => partition) as [number, ...number[]];
}
