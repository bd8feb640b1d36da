import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Job, Turn } from '#core/kernel/job.js';
import { endJob, JobLost, renewJob, takeJob } from '#core/platform/job-leases.js';
import { failureOf } from '#core/platform/logging.js';

/** Milliseconds until the first run of each, so that a start has its machine for itself. */
const FIRST_AFTER = 2_000;
/** Milliseconds between looks whether a job is due: it may be another process's turn, which died. */
const LOOK_EVERY = 5_000;

export interface JobsOptions {
  readonly db: Kysely<unknown>;
  readonly logger: Logger;
  /** How long a process that says nothing keeps others from its job, in milliseconds. */
  readonly leaseMilliseconds?: number;
  readonly firstAfter?: number;
}

/** Runs jobs while this process lives. A lease in the database keeps others from the same job meanwhile. */
export class Jobs {
  private readonly stopping = new AbortController();
  private readonly owner = crypto.randomUUID();
  private running: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly jobs: readonly Job[],
    private readonly options: JobsOptions,
  ) {}

  start(): void {
    this.running = Promise.all(this.jobs.map((job) => this.keepRunning(job)));
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async keepRunning(job: Job): Promise<void> {
    const { logger, firstAfter = FIRST_AFTER } = this.options;
    const { signal } = this.stopping;
    await pause(firstAfter, signal);
    while (!signal.aborted) {
      try {
        await this.alone(job);
      } catch (error) {
        const failure = failureOf(error);
        logger.warn({ job: job.name, failure }, 'job broke off; it will run again');
      }
      await pause(Math.min(job.every, LOOK_EVERY), signal);
    }
  }

  private async alone(job: Job): Promise<void> {
    const { db, leaseMilliseconds = 10_000 } = this.options;
    const { name, every } = job;
    const asked = { job: name, owner: this.owner, every, milliseconds: leaseMilliseconds };
    const taken = await takeJob(db, asked);
    if (taken === undefined) return;
    let lease = taken;
    const lost = new AbortController();
    const renew = async () => {
      try {
        lease = await renewJob(db, lease);
      } catch (error) {
        // A renewal that fails otherwise is tried again.
        if (error instanceof JobLost) lost.abort(error);
        throw error;
      }
    };
    const renewing = setInterval(() => void renew().catch(() => undefined), leaseMilliseconds / 3);
    const turn: Turn = {
      signal: AbortSignal.any([this.stopping.signal, lost.signal]),
      mustBeOurs: async () => {
        lost.signal.throwIfAborted();
        if (performance.now() - lease.renewedAt > leaseMilliseconds / 2) await renew();
      },
    };
    let outcome: 'done' | 'broken-off' = 'broken-off';
    try {
      await job.run(turn);
      if (!turn.signal.aborted) outcome = 'done';
    } finally {
      clearInterval(renewing);
      await endJob(db, lease, outcome);
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
  });
}
