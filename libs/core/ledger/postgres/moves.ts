import { type Kysely, sql, type Transaction } from 'kysely';
import type { Position } from '#core/kernel/position.js';
import { type Compared, type ComparedPage, NOTHING_COMPARED } from '../copy-log.js';
import type { LogStore } from '../ledger.events.js';
import { type EarlierPositions, eraOf, positionsFrom, shifted } from '../moved-store.js';
import { RUNTIME_ROLE } from './runtime-role.sql.js';

/**
 * The bookkeeping of moves lies beside the read models, in whatever store the log lies. A move is a row;
 * `moves.positions` says for each event where it lay and where it lies, a row for every page of them.
 */
export const moveMigrations: readonly { name: string; up(db: Kysely<unknown>): Promise<void> }[] = [
  {
    name: '0001-moves',
    async up(db) {
      await sql.raw(TABLES).execute(db);
    },
  },
];

const TABLES = `
create schema moves;

create table moves.moves (
  era integer primary key check (era > 0),
  ledger_id text not null,
  source text not null,
  target text not null,
  state text not null default 'copying' check (state in ('copying', 'closing', 'moved')),
  events bigint not null default 0,
  source_position bigint not null default 0,
  target_position bigint not null default 0,
  digest bytea not null default decode(repeat('00', 32), 'hex'),
  changed_at timestamptz not null default clock_timestamp()
);

create table moves.positions (
  era integer not null references moves.moves,
  first_earlier bigint not null,
  earlier bigint[] not null,
  now bigint[] not null,
  primary key (era, first_earlier)
);

grant usage on schema moves to ${RUNTIME_ROLE};
grant select on all tables in schema moves to ${RUNTIME_ROLE};
`;

/** `copying` while the source serves, `closing` while nobody may, `moved` once the target serves. */
export type MoveState = 'copying' | 'closing' | 'moved';

export interface Move {
  readonly era: number;
  readonly ledgerId: string;
  readonly source: LogStore;
  readonly target: LogStore;
  readonly state: MoveState;
  /** What was found to be the same in both stores, in their own positions. */
  readonly compared: Compared;
}

interface Row {
  readonly era: number;
  readonly ledger_id: string;
  readonly source: LogStore;
  readonly target: LogStore;
  readonly state: MoveState;
  readonly events: string;
  readonly source_position: Position;
  readonly target_position: Position;
  readonly digest: Buffer;
}

/** The move under way, or the last one; undefined where the log lies where it began. */
export async function lastMove(db: Kysely<unknown>): Promise<Move | undefined> {
  const { rows } = await sql<Row>`select * from moves.moves order by era desc limit 1`.execute(db);
  const [row] = rows;
  return (
    row && {
      era: row.era,
      ledgerId: row.ledger_id,
      source: row.source,
      target: row.target,
      state: row.state,
      compared: {
        events: Number(row.events),
        source: row.source_position,
        target: row.target_position,
        digest: row.digest,
      },
    }
  );
}

export type NewMove = Pick<Move, 'era' | 'ledgerId' | 'source' | 'target'>;

export async function beginMove(
  db: Kysely<unknown>,
  { era, ledgerId, source, target }: NewMove,
): Promise<Move> {
  await sql`insert into moves.moves (era, ledger_id, source, target)
    values (${era}, ${ledgerId}, ${source}, ${target})`.execute(db);
  return { era, ledgerId, source, target, state: 'copying', compared: NOTHING_COMPARED };
}

export async function setMoveState(
  db: Kysely<unknown>,
  era: number,
  state: MoveState,
): Promise<void> {
  await sql`update moves.moves set state = ${state}, changed_at = clock_timestamp()
    where era = ${era}`.execute(db);
}

/** What was compared so far counts no more: it is begun anew. */
export async function compareAnew(db: Kysely<unknown>, era: number): Promise<Compared> {
  await db.transaction().execute(async (tx) => {
    await sql`delete from moves.positions where era = ${era}`.execute(tx);
    await keepCompared(tx, era, NOTHING_COMPARED);
  });
  return NOTHING_COMPARED;
}

/** Keeps how far the stores are the same, together with where each event lies in both. */
export async function keepPage(
  db: Kysely<unknown>,
  era: number,
  { places, compared }: ComparedPage,
): Promise<void> {
  const from = positionsFrom(era);
  await db.transaction().execute(async (tx) => {
    await sql`insert into moves.positions (era, first_earlier, earlier, now)
      values (${era}, ${places[0]?.source}, ${places.map(({ source }) => source)}::bigint[],
              ${places.map(({ target }) => shifted(target, from))}::bigint[])`.execute(tx);
    await keepCompared(tx, era, compared);
  });
}

async function keepCompared(tx: Transaction<unknown>, era: number, of: Compared): Promise<void> {
  await sql`update moves.moves set events = ${of.events}, source_position = ${of.source},
      target_position = ${of.target}, digest = ${of.digest}, changed_at = clock_timestamp()
    where era = ${era}`.execute(tx);
}

/** The places that positions of earlier eras have in era `era`, move by move. */
export function earlierPositions(db: Kysely<unknown>, era: number): EarlierPositions {
  return {
    async find(position) {
      let [now, exact] = [position, true];
      for (let next = eraOf(position) + 1; next <= era; next++) {
        const { rows } = await sql<{ earlier: Position; now: Position }>`
          select p.earlier, p.now
            from (select earlier, now from moves.positions
                   where era = ${next} and first_earlier <= ${now}
                   order by first_earlier desc limit 1) page
            cross join lateral unnest(page.earlier, page.now) p(earlier, now)
           where p.earlier <= ${now}
           order by p.earlier desc limit 1`.execute(db);
        const [found] = rows;
        if (found === undefined) return undefined;
        exact &&= found.earlier === now;
        now = found.now;
      }
      return { now, exact };
    },
  };
}

/**
 * Lets no running ledger append to this database any more, or again. It waits for the appends under way,
 * so that the log has ended when it returns. As the owner.
 */
export async function allowAppends(db: Kysely<unknown>, allowed: boolean): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`select from ledger.turn for update`.execute(tx);
    await sql
      .raw(
        allowed
          ? `grant execute on function ledger.append_events to ${RUNTIME_ROLE}`
          : `revoke execute on function ledger.append_events from ${RUNTIME_ROLE}`,
      )
      .execute(tx);
  });
}

/**
 * The sessions of running ledgers in this database, by the names that they give, those that move a log left
 * out. A session of another user, whose name the database does not tell us, may be one.
 */
export async function ledgerSessions(db: Kysely<unknown>): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select distinct coalesce(application_name, 'a session of ' || usename) as name
      from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend'
       and pid <> pg_backend_pid() and application_name is distinct from ${MOVING}
       and (application_name is null or application_name like 'consent-ledger%'
            or application_name like 'ledger %')
     order by 1`.execute(db);
  return rows.map(({ name }) => name);
}

/** The application name of the sessions that move a log. */
export const MOVING = 'consent-ledger move';
