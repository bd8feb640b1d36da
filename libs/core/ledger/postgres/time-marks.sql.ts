import { RUNTIME_ROLE } from './runtime-role.sql.js';

/** Places of a log that another store keeps, and the ledger's time there. Derived: they may be lost. */
export const timeMarksTable = `
create table ledger.time_marks (
  position bigint         primary key,
  event_id uuid           not null,
  time     timestamptz(3) not null
);
create index time_marks_time on ledger.time_marks (time, position);
grant select, insert, delete on ledger.time_marks to ${RUNTIME_ROLE};
`;
