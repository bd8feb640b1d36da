import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { pino } from 'pino';
import type { Job } from '#core/kernel/job.js';
import { Jobs } from '#core/runtime/jobs.js';
import { connect } from '../support/connect.js';

/** `jobs-process.ts <settings as JSON>`: one job, of which every step leaves a row in `public.steps`. */
export interface JobSettings {
  readonly url: string;
  readonly by: string;
  readonly leaseMilliseconds: number;
  /** Stops itself before this step, until somebody wakes it. */
  readonly sleepsBefore?: number;
  /** The broken twin: does not ask whose the job is. */
  readonly careless?: boolean;
}

const { url, by, leaseMilliseconds, sleepsBefore, careless } = JSON.parse(
  process.argv[2] as string,
) as JobSettings;
const db = connect(url);

const steps: Job = {
  name: 'steps',
  every: 600,
  run: async ({ mustBeOurs }) => {
    for (let step = 1; step <= 30; step++) {
      if (step === sleepsBefore) process.kill(process.pid, 'SIGSTOP');
      if (!careless) await mustBeOurs();
      await sql`insert into public.steps (by, step) values (${by}, ${step})`.execute(db);
      await sleep(50);
    }
  },
};
new Jobs([steps], {
  db,
  logger: pino({ level: 'silent' }),
  leaseMilliseconds,
  firstAfter: 0,
}).start();
