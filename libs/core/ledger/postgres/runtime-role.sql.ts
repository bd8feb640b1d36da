/** What the sessions of a running ledger are, whoever they log in as. */
export const RUNTIME_ROLE = 'ledger_runtime';

/**
 * Roles belong to the cluster: another database's migration may make it in the same moment, which is as
 * good.
 */
export const runtimeRole = `
do $$
begin
  if not exists (select from pg_roles where rolname = '${RUNTIME_ROLE}') then
    create role ${RUNTIME_ROLE} nologin nobypassrls;
  end if;
exception when duplicate_object or unique_violation then
  null;
end $$;
`;

/** Reading, and appending through the one function that numbers and stamps; nothing else. */
export const runtimeRights = `
grant usage on schema ledger to ${RUNTIME_ROLE};
grant select on ledger.events to ${RUNTIME_ROLE};
revoke all on all functions in schema ledger from public;
grant execute on function ledger.append_events, ledger.position_at to ${RUNTIME_ROLE};
`;
