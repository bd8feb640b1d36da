import { type Kysely, sql } from 'kysely';

/** The schema of the proof, in steps; each runs once, in a transaction, as the owner of the database. */
export const migrations: readonly { name: string; up(db: Kysely<unknown>): Promise<void> }[] = [
  { name: '0001-proof', up: async (db) => void (await sql.raw(PROOF).execute(db)) },
  { name: '0002-retired-keys', up: async (db) => void (await sql.raw(RETIRED).execute(db)) },
];

/**
 * Tiles, origins of leaves and progress can all be made again from the events. Checkpoints and keys can
 * not: they are what was said outside, and never change.
 *
 * A row of `leaves` says which positions the 256 leaves of a bundle came from: 8 bytes each, big endian.
 * Hashes do not compress: not even tried. `progress` is one row; whoever holds its lease seals, and every
 * write moves it on from the size and under the epoch that the writer knows.
 */
const PROOF = `
create schema proof;

create table proof.progress (
  single boolean primary key default true check (single),
  size bigint not null default 0,
  position bigint not null default 0,
  event_id text,
  owner text,
  epoch bigint not null default 0,
  lease_until timestamptz,
  refusal jsonb
) with (fillfactor = 25, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
insert into proof.progress default values;

create table proof.tiles (
  level smallint not null,
  index bigint not null,
  hashes bytea not null,
  primary key (level, index)
);
alter table proof.tiles alter column hashes set storage external;

create table proof.leaves (
  bundle bigint primary key,
  first_position bigint not null unique,
  positions bytea not null
);
alter table proof.leaves alter column positions set storage external;

create table proof.checkpoints (
  origin text not null,
  size bigint not null,
  position bigint not null,
  note text not null,
  signed_at timestamptz(3) not null default clock_timestamp(),
  primary key (origin, size)
);
create index checkpoints_by_position on proof.checkpoints (origin, position);

create table proof.keys (
  origin text not null,
  verifier_key text not null,
  known_since timestamptz(3) not null default clock_timestamp(),
  primary key (origin, verifier_key)
);

create table proof.timestamps (
  origin text not null,
  size bigint not null,
  token bytea not null,
  stamped_at timestamptz(3) not null default clock_timestamp(),
  primary key (origin, size)
);

create function proof.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'what was published is never changed or removed: % of %.% is refused',
    tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;

create trigger refuse_change before update or delete or truncate on proof.checkpoints
  for each statement execute function proof.refuse_change();
alter table proof.checkpoints enable always trigger refuse_change;
create trigger refuse_change before update or delete or truncate on proof.keys
  for each statement execute function proof.refuse_change();
alter table proof.keys enable always trigger refuse_change;
create trigger refuse_change before update or delete or truncate on proof.timestamps
  for each statement execute function proof.refuse_change();
alter table proof.timestamps enable always trigger refuse_change;

grant usage on schema proof to ledger_runtime;
grant select, update on proof.progress to ledger_runtime;
grant select, insert, update, delete on proof.tiles, proof.leaves to ledger_runtime;
grant select, insert on proof.checkpoints, proof.keys, proof.timestamps to ledger_runtime;
revoke all on function proof.refuse_change() from public;
`;

/** From when on a key signed nothing any more; said once, as the key itself. */
const RETIRED = `
create table proof.retired_keys (
  origin text not null,
  verifier_key text not null,
  retired_at timestamptz(3) not null,
  primary key (origin, verifier_key)
);
create trigger refuse_change before update or delete or truncate on proof.retired_keys
  for each statement execute function proof.refuse_change();
alter table proof.retired_keys enable always trigger refuse_change;
grant select, insert on proof.retired_keys to ledger_runtime;
`;
