import type pg from 'pg';
import type { Logger } from 'pino';
import { failureOf } from '#core/platform/logging.js';

/** Something to be done again and again, by one process at a time. MUST be safe to break off and to repeat. */
export interface Job {
  readonly name: string;
  /** Milliseconds between the end of one run and the next. */
  readonly every: number;
  run(signal: AbortSignal): Promise<void>;
}

/** Milliseconds until the first run of each, so that a start has its machine for itself. */
const FIRST_AFTER = 2_000;

/** Runs jobs while this process lives. A lock in the database keeps others from the same job meanwhile. */
export class Jobs {
  private readonly stopping = new AbortController();
  private running: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly jobs: readonly Job[],
    private readonly pool: pg.Pool,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.running = Promise.all(this.jobs.map((job) => this.keepRunning(job)));
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async keepRunning(job: Job): Promise<void> {
    const { signal } = this.stopping;
    await pause(FIRST_AFTER, signal);
    while (!signal.aborted) {
      try {
        await this.alone(job);
      } catch (error) {
        this.logger.warn(
          { job: job.name, failure: failureOf(error) },
          'job failed; it will run again',
        );
      }
      await pause(job.every, signal);
    }
  }

  private async alone(job: Job): Promise<void> {
    const client = await this.pool.connect();
    try {
      const lock = `consent-ledger job ${job.name}`;
      const { rows } = await client.query<{ locked: boolean }>(
        'select pg_try_advisory_lock(hashtextextended($1, 0)) as locked',
        [lock],
      );
      if (!rows[0]?.locked) return;
      try {
        await job.run(this.stopping.signal);
      } finally {
        await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [lock]);
      }
    } finally {
      client.release();
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
