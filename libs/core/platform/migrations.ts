import { budgetTable } from './budgets.postgres.js';
import { idempotencyTable } from './idempotency.postgres.js';
import { jobLeaseTable } from './job-leases.js';
import type { MigrationStep } from './migrate.js';

/** The platform's own tables. */
export const platformMigrations: readonly MigrationStep[] = [
  ...idempotencyTable,
  jobLeaseTable,
  budgetTable,
];
