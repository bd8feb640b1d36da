import type { Kysely } from 'kysely';
import type { Job } from '#core/kernel/job.js';
import { forgetFullBudgets } from '#core/platform/budgets.postgres.js';
import type { PostgresIdempotencyStore } from '#core/platform/idempotency.postgres.js';
import type { PostgresVault } from '#core/vault/postgres/vault.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A key epoch lasts no longer: when it closes, no copy of a destroyed key opens anything any more. */
const EPOCH_DAYS = 30;

/** What the core has to do from time to time. */
export function upkeep(
  vault: PostgresVault,
  answers: PostgresIdempotencyStore,
  database: Kysely<unknown>,
): readonly Job[] {
  return [
    {
      name: 'forget-old-answers',
      every: HOUR,
      run: async () => void (await answers.purge()),
    },
    {
      name: 'forget-full-budgets',
      every: HOUR,
      run: () => forgetFullBudgets(database),
    },
    {
      name: 'keep-keys',
      every: DAY,
      run: async ({ mustBeOurs }) => {
        const { epochStartedAt } = await vault.status();
        const age = Date.now() - Date.parse(epochStartedAt);
        await mustBeOurs();
        // Rotation exports too.
        if (age > EPOCH_DAYS * DAY) await vault.rotate();
        else await vault.export();
      },
    },
  ];
}
