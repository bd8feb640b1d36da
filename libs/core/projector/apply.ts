import { type Kysely, sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import type { Position } from '#core/kernel/position.js';
import { InTurn } from '#core/ledger/in-turn.js';
import type { Anchor } from './checkpoint.js';
import { describe, isPassing, MustStop, OwnershipLost } from './failure.js';
import { type Advance, advance, advanced, type Lease } from './lease.js';
import { type LogReader, reading } from './log-reader.js';
import { partitionFor, partitionsOf, type Projection } from './projection.js';

/** How far a batch takes the checkpoint: where it was scanned to, and an event that proves it. */
export interface Mark {
  readonly to: Position;
  readonly anchor: Anchor | undefined;
  readonly ledgerId: string | undefined;
  /** As in `Advance`. */
  readonly caughtUpAt?: number;
}

export interface Target {
  readonly db: Kysely<unknown>;
  readonly log: LogReader;
  readonly projection: Projection;
  /** The schema that holds the tables. */
  readonly schema: string;
  /**
   * True while tables are filled that nobody reads yet: no commit waits for the disk, as a crash of the
   * database then costs some work only, and no statement has a deadline.
   */
  readonly inBackground: boolean;
}

/**
 * Applies a batch and moves the checkpoint, both or neither. Where an event of it can not be applied,
 * everything before that event is applied and committed, and MustStop names it: halves are tried until
 * the event stands alone.
 *
 * Throws OwnershipLost, MustStop, or what passes (`isPassing`); then nothing of the present half was
 * written and the lease knows how far it came.
 */
export async function applyBatch(
  target: Target,
  lease: Lease,
  events: readonly Recorded[],
  mark: Mark,
): Promise<void> {
  const step: Advance = { ...mark, applied: appliedBy(target.projection, lease, events) };
  try {
    await target.db.transaction().execute(async (tx) => {
      if (target.inBackground)
        await sql`select set_config('synchronous_commit', 'off', true),
          set_config('statement_timeout', '0', true)`.execute(tx);
      await applyWithin(tx, target, lease, events, step);
    });
    advanced(lease, step);
  } catch (error) {
    if (error instanceof OwnershipLost || isPassing(error)) throw error;
    const [first] = events;
    if (first === undefined) throw error;
    if (events.length === 1) throw cannotApply(first, error);
    const half = Math.ceil(events.length / 2);
    const before = events.slice(0, half);
    await applyBatch(target, lease, before, markAfter(before, mark.ledgerId));
    await applyBatch(target, lease, events.slice(half), mark);
  }
}

/** One attempt in a transaction that the caller ends. */
export async function applyWithin(
  tx: Transaction<unknown>,
  target: Target,
  lease: Lease,
  events: readonly Recorded[],
  step: Advance,
): Promise<void> {
  // First, for its row lock keeps a second owner out while the rows are written.
  await advance(tx, lease, step, target.schema);
  if (events.length === 0) return;
  const { projection, log } = target;
  const partitions =
    lease.table === 'rebuilds'
      ? partitionsOf(projection)
      : ([...lease.epochs.keys()].sort((a, b) => a - b) as [number, ...number[]]);
  await inTurn.run(projection, () =>
    projection.apply(events, {
      tx,
      partitions,
      readStreams: (streams, upTo) => reading(() => log.readMany(streams, { upTo })),
    }),
  );
}

/** Counts each event for one of the lease's partitions: what concerns them all, for the first. */
export function appliedBy(
  projection: Projection,
  { epochs }: Lease,
  events: readonly Recorded[],
): ReadonlyMap<number, number> {
  const [first = 0] = epochs.keys();
  const applied = new Map<number, number>();
  for (const { stream } of events) {
    const own = partitionFor(projection, stream) ?? first;
    const partition = epochs.has(own) ? own : first;
    applied.set(partition, (applied.get(partition) ?? 0) + 1);
  }
  return applied;
}

/**
 * The live runner and a rebuild of the same process share the projection, and what it remembers between
 * awaits. Taken after the row's lock and never before: a switch holds that lock while it waits here.
 */
const inTurn = new InTurn<Projection>();

export function markAfter(events: readonly Recorded[], ledgerId: string | undefined): Mark {
  const last = events.at(-1) as Recorded;
  return { to: last.position, anchor: { position: last.position, eventId: last.id }, ledgerId };
}

/**
 * The mark of a page that was scanned further than its last event, proven by the event at that place.
 * A store may have none there; then the last one known stays the proof.
 */
export async function markOf(
  log: LogReader,
  page: { readonly events: readonly Recorded[]; readonly scannedTo: Position },
  known: Mark,
): Promise<Mark> {
  const last = page.events.at(-1);
  if (last?.position === page.scannedTo)
    return { ...known, ...markAfter(page.events, known.ledgerId) };
  const nearest = last === undefined ? known.anchor : { position: last.position, eventId: last.id };
  return {
    ...known,
    to: page.scannedTo,
    anchor: (await anchorAt(log, page.scannedTo)) ?? nearest,
  };
}

async function anchorAt(log: LogReader, position: Position): Promise<Anchor | undefined> {
  try {
    const event = await reading(() => log.at(position));
    return event && { position, eventId: event.id };
  } catch (error) {
    // An event of no concern here that no code can read is no reason to stop; another proof will do.
    if (error instanceof MustStop && error.code === 'cannot-decode') return undefined;
    throw error;
  }
}

function cannotApply(event: Recorded, error: unknown): MustStop {
  return new MustStop(
    event.position,
    error instanceof MustStop ? error.code : 'apply-failed',
    `${event.type} version ${event.version}: ${describe(error)}`,
    event.stream,
  );
}
