/**
 * Events are never changed or removed, by nobody. A statement is refused also where it would have found
 * no row, and also in a session that skips ordinary triggers.
 */
export const refuseChange = `
create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'events are never changed or removed: % of %.% is refused',
    tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;

create trigger refuse_change before update or delete or truncate on ledger.events
  for each statement execute function ledger.refuse_change();

alter table ledger.events enable always trigger refuse_change;
`;
