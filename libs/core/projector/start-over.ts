import { type Kysely, sql } from 'kysely';

/**
 * Lets every read model be rebuilt from the log before it answers again, whatever its rows were made from:
 * nobody reads them meanwhile, and who follows the log next, or `rebuild`, makes them. Reactors go on where
 * they are, with what they parked.
 *
 * Everything gets another epoch and no owner: what a process still writes that followed the log before is
 * refused.
 */
export async function startOver(db: Kysely<unknown>): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`
      update projector.checkpoints set epoch = epoch + 1, owner = null, lease_until = null`.execute(
      tx,
    );
    await sql`
      update projector.checkpoints set ${AT_THE_BEGINNING}, status = 'rebuilding'
       where kind = 'projection'`.execute(tx);
    await sql`
      insert into projector.rebuilds (name, kind)
      select distinct name, kind from projector.checkpoints where kind = 'projection'
      on conflict (name) do update set ${AT_THE_BEGINNING}, status = 'running',
             epoch = rebuilds.epoch + 1, owner = null, lease_until = null`.execute(tx);
  });
}

/** Tables of version 0 are those that nobody made. */
const AT_THE_BEGINNING = sql`version = 0, position = 0, anchor_position = 0, event_id = null,
  ledger_id = null, applied = 0, caught_up_at = null, error = null, updated_at = clock_timestamp()`;
