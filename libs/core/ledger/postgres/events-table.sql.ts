/**
 * The log. `position` runs 1, 2, 3 … without a hole, in the order of commits. `stream` compares bytes,
 * whatever the database's locale. `digest` tells a repetition from other content under the same id;
 * `recorded_at` repeats what the bytes say, so that a time can be found without reading them.
 *
 * Bytes are mostly ciphertext, which does not compress: not even tried. Up to 8 kB they stay in the row,
 * so that a reader of the log reads one table from front to back.
 *
 * `small_categories`: everything but people's streams and looks at them. Whoever follows only the
 * catalogue finds it without reading past millions of choices. Its second column only gives it an order
 * that no other index has, so that the planner can be held to it.
 */
export const eventsTable = `
create table ledger.events (
  position    bigint         not null,
  stream      text collate "C" not null,
  revision    integer        not null,
  id          uuid           not null,
  type        text collate "C" not null,
  recorded_at timestamptz(3) not null,
  digest      bytea          not null,
  bytes       bytea          not null,
  constraint events_pkey primary key (position),
  constraint one_event_per_revision unique (stream, revision),
  constraint one_event_per_id unique (stream, id)
) with (toast_tuple_target = 8160);

alter table ledger.events alter column bytes set storage external;

create index small_categories on ledger.events (position, stream)
  where stream not like 'subject-%' and stream not like 'access-%';
`;

/**
 * One row, and whoever holds its lock appends next. It is locked and never updated: a counter kept here
 * would leave a dead version behind each append, and every append would walk past all of them for as
 * long as a backup or a long query keeps them from being removed. The counter is the last event.
 *
 * Abandoned tries: see append_events.
 */
export const turnTables = `
create table ledger.turn (
  single boolean primary key default true check (single)
);
insert into ledger.turn default values;

create table ledger.abandoned (
  attempt uuid primary key,
  at timestamptz not null default clock_timestamp()
);
`;
