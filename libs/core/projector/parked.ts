import { type Kysely, sql } from 'kysely';
import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { OwnershipLost } from './failure.js';
import { epochOf, type Lease } from './lease.js';

/** An event whose effect failed, or that waits behind one of the same stream. */
export interface Parked {
  readonly stream: StreamName;
  readonly position: Position;
  /** A code; `waiting` for what stands behind another event. */
  readonly reason: string;
  readonly attempts: number;
  /** Milliseconds until it is tried again; undefined for what stands behind another event. */
  readonly delay: number | undefined;
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
  const column = <T>(value: (event: Parked) => T) => events.map(value);
  await sql`
    insert into projector.parked (reactor, position, stream, reason, attempts, next_attempt_at)
    select ${reactor}, e.position, e.stream, e.reason, e.attempts,
           coalesce(clock_timestamp() + e.delay * interval '1 millisecond', 'infinity')
      from unnest(${column((e) => e.position)}::bigint[], ${column((e) => e.stream)}::text[],
                  ${column((e) => e.reason)}::text[], ${column((e) => e.attempts)}::integer[],
                  ${column((e) => e.delay ?? null)}::float8[])
           as e (position, stream, reason, attempts, delay)
    on conflict (reactor, position) do nothing`.execute(db);
}

/** Which of these streams have a parked event: what comes later in them has to wait. */
export async function blockedOf(
  db: Kysely<unknown>,
  reactor: string,
  streams: readonly StreamName[],
): Promise<Set<StreamName>> {
  const { rows } = await sql<{ stream: StreamName }>`
    select distinct stream from projector.parked
     where reactor = ${reactor} and stream = any(${[...streams]})`.execute(db);
  return new Set(rows.map(({ stream }) => stream));
}

/** Streams whose first event is to be tried again now, at most `limit`, those that wait longest first. */
export async function dueStreams(
  db: Kysely<unknown>,
  reactor: string,
  limit: number,
): Promise<readonly StreamName[]> {
  const { rows } = await sql<{ stream: StreamName }>`
    select stream from projector.parked
     where reactor = ${reactor} and next_attempt_at <= clock_timestamp()
     order by next_attempt_at limit ${limit}`.execute(db);
  return [...new Set(rows.map(({ stream }) => stream))];
}

/** Milliseconds until the next one is to be tried again; undefined where none waits. */
export async function untilNextDue(
  db: Kysely<unknown>,
  reactor: string,
): Promise<number | undefined> {
  const { rows } = await sql<{ delay: number | null }>`
    select extract(epoch from min(next_attempt_at) - clock_timestamp())::float8 * 1000 as delay
      from projector.parked where reactor = ${reactor} and next_attempt_at < 'infinity'`.execute(
    db,
  );
  const delay = rows[0]?.delay;
  return delay == null ? undefined : Math.max(0, delay);
}

/** The first event of one stream; undefined where none is left. */
export async function firstOf(
  db: Kysely<unknown>,
  reactor: string,
  stream: StreamName,
): Promise<Pick<Parked, 'position' | 'attempts'> | undefined> {
  const { rows } = await sql<Pick<Parked, 'position' | 'attempts'>>`
    select position::text as position, attempts
      from projector.parked where reactor = ${reactor} and stream = ${stream}
     order by parked.position limit 1`.execute(db);
  return rows[0];
}

/**
 * Its effect is done, and the next one of its stream has its turn. Throws OwnershipLost where another
 * owner looks after it now.
 */
export async function unpark(
  db: Kysely<unknown>,
  lease: Lease,
  { stream, position }: Pick<Parked, 'stream' | 'position'>,
): Promise<void> {
  const { rows } = await sql`
    with done as (
      delete from projector.parked p using projector.checkpoints c
       where c.name = p.reactor and c.epoch = ${epochOf(lease)}::bigint
         and p.reactor = ${lease.name} and p.position = ${position}::bigint
      returning p.position
    ), following as (
      update projector.parked set next_attempt_at = clock_timestamp()
       where reactor = ${lease.name} and exists (select from done)
         and position = (select min(n.position) from projector.parked n
                          where n.reactor = ${lease.name} and n.stream = ${stream}
                            and n.position > ${position}::bigint))
    select from done`.execute(db);
  if (rows.length === 0) throw new OwnershipLost(lease.name);
}

/** It failed again. Throws OwnershipLost. */
export async function postpone(db: Kysely<unknown>, lease: Lease, event: Parked): Promise<void> {
  const { numAffectedRows } = await sql`
    update projector.parked p
       set attempts = ${event.attempts}, reason = ${event.reason},
           next_attempt_at = clock_timestamp() + ${event.delay ?? 0} * interval '1 millisecond'
      from projector.checkpoints c
     where c.name = p.reactor and c.epoch = ${epochOf(lease)}::bigint
       and p.reactor = ${lease.name} and p.position = ${event.position}::bigint`.execute(db);
  if (numAffectedRows === 0n) throw new OwnershipLost(lease.name);
}

/** All of them are tried again at once. */
export async function hurry(db: Kysely<unknown>, reactor: string): Promise<void> {
  await sql`update projector.parked set next_attempt_at = clock_timestamp()
             where reactor = ${reactor} and next_attempt_at < 'infinity'`.execute(db);
}

/** How many events wait, by reactor. */
export async function countParked(db: Kysely<unknown>): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ reactor: string; count: number }>`
    select reactor, count(*)::integer as count from projector.parked group by reactor`.execute(db);
  return new Map(rows.map(({ reactor, count }) => [reactor, count]));
}
