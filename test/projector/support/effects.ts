import { type Kysely, sql } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import type { Reactor } from '#core/projector/reactor.js';

/** A reactor whose effects are rows of a table, written outside of any transaction of the projector. */
export function effects(
  db: Kysely<unknown>,
  before: (event: Recorded, signal: AbortSignal) => Promise<void> | void = () => undefined,
): Reactor {
  return {
    name: 'effects',
    categories: ['subject'],
    async react(event, signal) {
      await before(event, signal);
      await sql`insert into test_log.effects (stream, position)
        values (${event.stream}, ${event.position})`.execute(db);
    },
  };
}

export async function createEffects(owner: Kysely<unknown>): Promise<void> {
  await sql`create table test_log.effects
    (n bigserial, stream text not null, position bigint not null)`.execute(owner);
  await sql`grant all on all tables in schema test_log to ledger_runtime`.execute(owner);
  await sql`grant all on all sequences in schema test_log to ledger_runtime`.execute(owner);
}

/** What happened, in order, by stream: positions, with repetitions. */
export async function effectsOf(db: Kysely<unknown>): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ stream: string; position: string }>`
    select stream, position::text as position from test_log.effects order by n`.execute(db);
  const found = new Map<string, string[]>();
  for (const { stream, position } of rows)
    found.set(stream, [...(found.get(stream) ?? []), position]);
  return found;
}

/** The same, as the log demands it: every event once, in order. */
export function demanded(events: readonly Recorded[]): Map<string, string[]> {
  const wanted = new Map<string, string[]>();
  for (const { stream, position } of events)
    if (stream.startsWith('subject-'))
      wanted.set(stream, [...(wanted.get(stream) ?? []), position]);
  return wanted;
}

/** Each position where it was first reached. */
export function firsts(happened: ReadonlyMap<string, string[]>): Map<string, string[]> {
  return new Map([...happened].map(([stream, positions]) => [stream, [...new Set(positions)]]));
}
