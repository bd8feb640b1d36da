import { type Kysely, sql } from 'kysely';
import { RUNTIME_ROLE } from './database.js';
import type { MigrationStep } from './migrate.js';

export const jobLeaseTable: MigrationStep = {
  name: '0003-job-leases',
  async up(db) {
    await sql`
      CREATE TABLE platform.jobs (
        name text PRIMARY KEY,
        owner text NOT NULL,
        epoch bigint NOT NULL,
        -- Null: nobody is at it.
        leased_until timestamptz,
        ended_at timestamptz
      ) WITH (fillfactor = 50)`.execute(db);
    await sql.raw(`GRANT SELECT, INSERT, UPDATE ON platform.jobs TO ${RUNTIME_ROLE}`).execute(db);
  },
};

/** Another process has the job: this one was silent for longer than its lease. */
export class JobLost extends Error {
  override readonly name = 'JobLost';
  constructor(
    readonly job: string,
    readonly epoch: string,
  ) {
    super(`job ${job} was taken over: epoch ${epoch} is over`);
  }
}

/** One turn at a job. Whoever takes the job next has another epoch. */
export interface JobLease {
  readonly job: string;
  readonly epoch: string;
  readonly milliseconds: number;
  /** By this process's monotonic clock, before the database was last asked for more time. */
  readonly renewedAt: number;
}

/**
 * Takes a job that is due and that nobody has; undefined otherwise. A row rather than a lock of the session: it
 * holds behind a pooler that hands sessions around, and a process that is frozen loses it. All times are the
 * database's; one that lies ahead of it was written before its clock was set back, and counts for nothing.
 */
export async function takeJob(
  db: Kysely<unknown>,
  asked: {
    readonly job: string;
    readonly owner: string;
    /** Milliseconds between the end of one run, by whomever, and the next. */
    readonly every: number;
    readonly milliseconds: number;
  },
): Promise<JobLease | undefined> {
  const { job, owner, every, milliseconds } = asked;
  const renewedAt = performance.now();
  const until = leaseEnd(milliseconds);
  const { rows } = await sql<{ epoch: string }>`
    INSERT INTO platform.jobs AS kept (name, owner, epoch, leased_until)
    VALUES (${job}, ${owner}, 1, ${until})
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = kept.epoch + 1, leased_until = ${until}
    WHERE coalesce(kept.leased_until NOT BETWEEN clock_timestamp() AND ${until}, true)
      AND coalesce(kept.ended_at NOT BETWEEN clock_timestamp() - ${span(every)} AND clock_timestamp(), true)
    RETURNING epoch::text AS epoch`.execute(db);
  const [row] = rows;
  return row && { job, epoch: row.epoch, milliseconds, renewedAt };
}

/** More time. Throws JobLost. */
export async function renewJob(db: Kysely<unknown>, lease: JobLease): Promise<JobLease> {
  const renewedAt = performance.now();
  const { numAffectedRows } = await sql`
    UPDATE platform.jobs SET leased_until = ${leaseEnd(lease.milliseconds)}
    WHERE name = ${lease.job} AND epoch = ${lease.epoch}::bigint`.execute(db);
  if (numAffectedRows !== 1n) throw new JobLost(lease.job, lease.epoch);
  return { ...lease, renewedAt };
}

/** Gives it back: `done`, and it is due after its time, or broken off, and whoever looks next takes it up. */
export async function endJob(
  db: Kysely<unknown>,
  { job, epoch }: JobLease,
  outcome: 'done' | 'broken-off',
): Promise<void> {
  const ended = outcome === 'done' ? sql`clock_timestamp()` : sql`ended_at`;
  await sql`
    UPDATE platform.jobs SET leased_until = NULL, ended_at = ${ended}
    WHERE name = ${job} AND epoch = ${epoch}::bigint`.execute(db);
}

function leaseEnd(milliseconds: number) {
  return sql`(clock_timestamp() + ${span(milliseconds)})`;
}

function span(milliseconds: number) {
  return sql`${milliseconds} * interval '1 millisecond'`;
}
