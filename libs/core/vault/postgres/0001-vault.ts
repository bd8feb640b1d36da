import { sql } from 'kysely';
import { EPOCH_LOCK, LOCKS } from './locks.js';
import type { Migration } from './migrations.js';

const ROLE = `
do $$ begin
  if not exists (select from pg_roles where rolname = 'ledger_runtime') then
    create role ledger_runtime nologin nobypassrls;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;`;

const TABLES = `
create schema vault;

-- One row: which key home belongs to these tables, and the epoch that new keys are wrapped under.
create table vault.home (
  only_one boolean primary key default true check (only_one),
  id text not null,
  epoch integer not null
);

-- Room in each page, so that a rotation updates rows in place and leaves the indexes alone.
create table vault.keys (
  owner text collate "C" not null,
  compartment text collate "C" not null,
  key_id uuid not null unique,
  epoch integer not null,
  wrapped bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (owner, compartment)
) with (fillfactor = 70);

-- What was closed for ever. Compartment '' stands for all that the owner has or could have.
create table vault.tombstones (
  owner text collate "C" not null,
  compartment text collate "C" not null,
  epoch integer not null,
  destroyed_at timestamptz not null,
  primary key (owner, compartment)
);

create table vault.destroyed_keys (
  key_id uuid primary key,
  owner text collate "C" not null,
  compartment text collate "C" not null,
  -- The compartment of the tombstone that it went with.
  closed text collate "C" not null,
  epoch integer not null
);
create index on vault.destroyed_keys (owner, closed);

create table vault.lookup (
  digest bytea not null,
  owner text collate "C" not null,
  reference text collate "C" not null,
  primary key (digest, owner, reference)
);
create index on vault.lookup (owner, reference);

create table vault.reservations (
  digest bytea primary key,
  owner text collate "C" not null
);
create index on vault.reservations (owner);`;

const LOCKING = `
create function vault.stripe(owner text) returns integer language sql immutable parallel safe
  return hashtext(owner) & 63;

-- Every function below looks again after it has its locks, and sees what was committed while it waited
-- only where each statement has a snapshot of its own.
create function vault.lock_writing(owners text[]) returns void language plpgsql as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the vault needs the isolation level read committed';
  end if;
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  perform pg_advisory_xact_lock_shared(${LOCKS}, s.stripe)
    from (select distinct vault.stripe(o) as stripe from unnest(owners) o order by 1) s;
  perform pg_advisory_xact_lock_shared(${LOCKS}, ${EPOCH_LOCK});
end $$;

create function vault.lock_destroying(owners text[]) returns void language plpgsql as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the vault needs the isolation level read committed';
  end if;
  perform set_config('synchronous_commit', 'on', true);
  perform pg_advisory_xact_lock(${LOCKS}, s.stripe)
    from (select distinct vault.stripe(o) as stripe from unnest(owners) o order by 1) s;
  perform pg_advisory_xact_lock_shared(${LOCKS}, ${EPOCH_LOCK});
end $$;`;

const KEYS_FOR = `
-- The key of each (owner, compartment), which are distinct; the one offered where there was none.
-- answer: 'key', 'destroyed', or 'stale' where the offer is under another epoch than the one in force,
-- which is then given.
create function vault.keys_for(
  owners text[], compartments text[], ids uuid[], wraps bytea[], offered_epoch integer
) returns table (place integer, answer text, key_id uuid, epoch integer, wrapped bytea)
language plpgsql as $$
#variable_conflict use_column
begin
  if exists (
    select from unnest(owners, compartments) w(owner, compartment)
    where not exists (
      select from vault.keys k where k.owner = w.owner and k.compartment = w.compartment)
  ) then
    perform vault.lock_writing(owners);
    insert into vault.keys (owner, compartment, key_id, epoch, wrapped)
      select w.owner, w.compartment, w.id, offered_epoch, w.wrapped
      from unnest(owners, compartments, ids, wraps) w(owner, compartment, id, wrapped)
      where offered_epoch = (select h.epoch from vault.home h)
        and not exists (
          select from vault.tombstones t
          where t.owner = w.owner and t.compartment in ('', w.compartment))
      order by w.owner, w.compartment
      on conflict (owner, compartment) do nothing;
  end if;
  return query
    select w.place::integer,
      case
        when exists (
          select from vault.tombstones t
          where t.owner = w.owner and t.compartment in ('', w.compartment)) then 'destroyed'
        when k.key_id is null then 'stale'
        else 'key'
      end,
      k.key_id,
      coalesce(k.epoch, (select h.epoch from vault.home h)),
      k.wrapped
    from unnest(owners, compartments) with ordinality w(owner, compartment, place)
    left join vault.keys k on k.owner = w.owner and k.compartment = w.compartment
    order by 1;
end $$;`;

const CLOSE = `
-- Closes owners, or their compartments, for ever: keys and look-up rows go, tombstones stay. The caller
-- holds lock_destroying and has the keys in the registry of erased keys. Gives how many keys went.
create function vault.close(
  owners text[], compartments text[], epochs integer[], moments timestamptz[]
) returns bigint language plpgsql as $$
declare
  gone bigint;
begin
  with removed as (
    delete from vault.keys k
    using unnest(owners, compartments, epochs) c(owner, compartment, epoch)
    where k.owner = c.owner and c.compartment in ('', k.compartment)
    returning k.key_id, k.owner, k.compartment, c.compartment as closed, c.epoch
  ), recorded as (
    insert into vault.destroyed_keys (key_id, owner, compartment, closed, epoch)
      select r.key_id, r.owner, r.compartment, r.closed, r.epoch from removed r
      on conflict do nothing
  )
  select count(*) into gone from removed;
  insert into vault.tombstones (owner, compartment, epoch, destroyed_at)
    select c.owner, c.compartment, c.epoch, c.moment
    from unnest(owners, compartments, epochs, moments) with ordinality
      c(owner, compartment, epoch, moment, place)
    order by c.place
    on conflict do nothing;
  delete from vault.lookup l
    using unnest(owners, compartments) c(owner, compartment)
    where l.owner = c.owner and c.compartment in ('', l.reference);
  delete from vault.reservations r
    using unnest(owners, compartments) c(owner, compartment)
    where r.owner = c.owner and c.compartment = '';
  perform pg_notify('vault_destroyed', o) from (select distinct unnest(owners) o) notified;
  return gone;
end $$;`;

const LOOKUP = `
-- Adds entries; gives the places of those refused because their owner or reference was destroyed.
create function vault.add_lookups(digests bytea[], owners text[], refs text[])
returns setof integer language plpgsql as $$
begin
  perform vault.lock_writing(owners);
  insert into vault.lookup (digest, owner, reference)
    select w.digest, w.owner, w.reference
    from unnest(digests, owners, refs) w(digest, owner, reference)
    where not exists (
      select from vault.tombstones t
      where t.owner = w.owner and t.compartment in ('', w.reference))
    order by 1, 2, 3
    on conflict do nothing;
  return query
    select w.place::integer
    from unnest(owners, refs) with ordinality w(owner, reference, place)
    where exists (
      select from vault.tombstones t
      where t.owner = w.owner and t.compartment in ('', w.reference))
    order by 1;
end $$;

-- Who holds each digest once it was reserved for its owner, first come first served; null where nobody
-- does: the owner was destroyed, or the holder let go in between.
create function vault.reserve(digests bytea[], owners text[])
returns table (place integer, holder text, refused boolean) language plpgsql as $$
begin
  perform vault.lock_writing(owners);
  insert into vault.reservations (digest, owner)
    select distinct on (w.digest) w.digest, w.owner
    from unnest(digests, owners) with ordinality w(digest, owner, place)
    where not exists (
      select from vault.tombstones t where t.owner = w.owner and t.compartment = '')
    order by w.digest, w.place
    on conflict do nothing;
  return query
    select w.place::integer, r.owner, exists (
      select from vault.tombstones t where t.owner = w.owner and t.compartment = '')
    from unnest(digests, owners) with ordinality w(digest, owner, place)
    left join vault.reservations r on r.digest = w.digest
    order by 1;
end $$;`;

// Tombstones can be neither changed nor removed, and no key can be given to another owner.
const RIGHTS = `
grant usage on schema vault to ledger_runtime;
grant select, insert, update (epoch) on vault.home to ledger_runtime;
grant select, insert, delete, update (epoch, wrapped) on vault.keys to ledger_runtime;
grant select, insert on vault.tombstones, vault.destroyed_keys to ledger_runtime;
grant select, insert, delete on vault.lookup, vault.reservations to ledger_runtime;`;

export const vault0001: Migration = {
  name: '0001-vault',
  async up(db) {
    for (const part of [ROLE, TABLES, LOCKING, KEYS_FOR, CLOSE, LOOKUP, RIGHTS])
      await sql.raw(part).execute(db);
  },
};
