import { type Kysely, sql } from 'kysely';
import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { OwnershipLost } from './failure.js';
import type { Lease } from './lease.js';

/** An event whose effect failed, or that waits behind one of the same stream. */
export interface Parked {
  readonly stream: StreamName;
  readonly position: Position;
  /** A code; `waiting` for what stands behind another event. */
  readonly reason: string;
  readonly attempts: number;
  /** Until it is tried again. */
  readonly delay: number;
}

/** Between attempts, in milliseconds: doubled each time from the first to the longest. */
export interface Backoff {
  readonly first: number;
  readonly longest: number;
}

export function delayAfter(attempts: number, { first, longest }: Backoff): number {
  return Math.min(first * 2 ** Math.min(attempts - 1, 40), longest);
}

/** Once more is no harm: a page that was worked on twice parks the same events. */
export async function park(
  db: Kysely<unknown>,
  reactor: string,
  events: readonly Parked[],
): Promise<void> {
  if (events.length === 0) return;
  const column = (value: (event: Parked) => string | number) => events.map(value);
  await sql`
    insert into projector.parked (reactor, position, stream, reason, attempts, next_attempt_at)
    select ${reactor}, e.position, e.stream, e.reason, e.attempts,
           clock_timestamp() + e.delay * interval '1 millisecond'
      from unnest(${column((e) => e.position)}::bigint[], ${column((e) => e.stream)}::text[],
                  ${column((e) => e.reason)}::text[], ${column((e) => e.attempts)}::integer[],
                  ${column((e) => e.delay)}::float8[])
           as e (position, stream, reason, attempts, delay)
    on conflict (reactor, position) do nothing`.execute(db);
}

/** The first event of every stream that waits, with the milliseconds until it is due; soonest first. */
export async function waitingStreams(
  db: Kysely<unknown>,
  reactor: string,
): Promise<readonly Parked[]> {
  const { rows } = await sql<Parked>`
    select * from (
      select distinct on (stream) stream, position::text as position, reason, attempts,
             extract(epoch from next_attempt_at - clock_timestamp())::float8 * 1000 as delay
        from projector.parked where reactor = ${reactor} order by stream, parked.position) as heads
     order by delay`.execute(db);
  return rows;
}

/** The first event of one stream; undefined where none is left. */
export async function firstOf(
  db: Kysely<unknown>,
  reactor: string,
  stream: StreamName,
): Promise<Parked | undefined> {
  const { rows } = await sql<Parked>`
    select stream, position::text as position, reason, attempts, 0 as delay
      from projector.parked where reactor = ${reactor} and stream = ${stream}
     order by parked.position limit 1`.execute(db);
  return rows[0];
}

/** Its effect is done. Throws OwnershipLost where another owner looks after it now. */
export async function unpark(db: Kysely<unknown>, lease: Lease, position: Position): Promise<void> {
  const { numAffectedRows } = await sql`
    delete from projector.parked p using projector.checkpoints c
     where c.name = p.reactor and c.epoch = ${lease.epoch}::bigint
       and p.reactor = ${lease.name} and p.position = ${position}::bigint`.execute(db);
  if (numAffectedRows === 0n) throw new OwnershipLost(lease.name);
}

/** It failed again. Throws OwnershipLost. */
export async function postpone(db: Kysely<unknown>, lease: Lease, event: Parked): Promise<void> {
  const { numAffectedRows } = await sql`
    update projector.parked p
       set attempts = ${event.attempts}, reason = ${event.reason},
           next_attempt_at = clock_timestamp() + ${event.delay} * interval '1 millisecond'
      from projector.checkpoints c
     where c.name = p.reactor and c.epoch = ${lease.epoch}::bigint
       and p.reactor = ${lease.name} and p.position = ${event.position}::bigint`.execute(db);
  if (numAffectedRows === 0n) throw new OwnershipLost(lease.name);
}

/** All of them are tried again at once. */
export async function hurry(db: Kysely<unknown>, reactor: string): Promise<void> {
  await sql`update projector.parked set next_attempt_at = clock_timestamp()
             where reactor = ${reactor}`.execute(db);
}

/** How many events wait, by reactor. */
export async function countParked(db: Kysely<unknown>): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ reactor: string; count: number }>`
    select reactor, count(*)::integer as count from projector.parked group by reactor`.execute(db);
  return new Map(rows.map(({ reactor, count }) => [reactor, count]));
}
