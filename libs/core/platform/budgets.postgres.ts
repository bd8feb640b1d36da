import { type Kysely, sql } from 'kysely';
import { type Draw, type Drawn, type DrawTokens, REFILL_SECONDS } from './budgets.js';
import { RUNTIME_ROLE } from './database.js';
import type { MigrationStep } from './migrate.js';

export const budgetTable: MigrationStep = {
  name: '0004-call-budgets',
  async up(db) {
    // Not logged: after a crash of the database every budget is full, and no draw waits for a disk.
    await sql`
      CREATE UNLOGGED TABLE platform.call_budgets (
        -- A keyed digest: addresses are personal data.
        name bytea PRIMARY KEY,
        tokens double precision NOT NULL,
        filled_at timestamptz NOT NULL,
        -- What the last draw got: this is how a draw is told.
        granted integer NOT NULL
      ) WITH (fillfactor = 50)`.execute(db);
    await sql
      .raw(`GRANT SELECT, INSERT, UPDATE, DELETE ON platform.call_budgets TO ${RUNTIME_ROLE}`)
      .execute(db);
  },
};

/** Budgets in PostgreSQL; all times are the database's. `digestOf` makes a name unreadable, always the same way. */
export function postgresBudgets(
  db: Kysely<unknown>,
  digestOf: (name: string) => Uint8Array,
): DrawTokens {
  return async (asked: readonly Draw[]) => {
    const names = asked.map(({ name }) => Buffer.from(digestOf(name)));
    const { rows } = await sql<{ name: Buffer; granted: number; tokens: number }>`
      INSERT INTO platform.call_budgets AS kept (name, tokens, filled_at, granted)
      SELECT name, calls - wanted, clock_timestamp(), wanted
      FROM unnest(${names}::bytea[], ${asked.map(({ calls }) => calls)}::integer[],
                  ${asked.map(({ wanted }) => wanted)}::integer[]) AS asked (name, calls, wanted)
      -- In one order, so that no two draws wait for each other.
      ORDER BY name
      ON CONFLICT (name) DO UPDATE SET (tokens, filled_at, granted) = (
        SELECT filled - given, excluded.filled_at, given
        FROM (SELECT excluded.tokens + excluded.granted AS calls) AS budget,
          LATERAL (SELECT least(calls, kept.tokens + calls / ${sql.lit(REFILL_SECONDS)} * greatest(0,
            extract(epoch FROM excluded.filled_at - kept.filled_at))) AS filled) AS refill,
          LATERAL (SELECT least(excluded.granted, floor(filled))::integer AS given) AS draw)
      RETURNING name, granted, tokens`.execute(db);
    const drawn = new Map(rows.map((row) => [row.name.toString('latin1'), row]));
    return names.map((name): Drawn => {
      const { granted, tokens } = drawn.get(name.toString('latin1'))!;
      return { granted, left: tokens };
    });
  };
}

/** Forgets budgets that are full again anyway. To be run every hour or so. */
export async function forgetFullBudgets(db: Kysely<unknown>): Promise<void> {
  await sql`
    DELETE FROM platform.call_budgets
    WHERE filled_at < now() - ${sql.lit(REFILL_SECONDS)} * interval '1 second'`.execute(db);
}
