import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { until } from '../../support/until.js';
import { type Caller, startCaller } from '../caller.js';
import { readKurrentDbLog } from '../kurrentdb-log.js';
import { compareLog } from '../log-check.js';
import { countsOf } from '../outcome.js';
import { Product } from '../product.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/**
 * A cluster that may be harmed, and a program that does it: `COMMAND leader` says which node leads, and `COMMAND
 * kill NODE` (with -9), `start NODE`, `freeze NODE` (SIGSTOP) and `thaw NODE` do what they say.
 */
const { CRASH_KURRENTDB_URL: url, CRASH_KURRENTDB_COMMAND: command } = process.env;

/** For how long the leader is frozen, in milliseconds. */
const FROZEN = 25_000;
/** The service may pause so long when its leader was killed. */
const PAUSE = 5_000;

export const leader: Scenario = {
  name: 'leader',
  about: 'the leader of a KurrentDB cluster is killed with -9, then frozen, while people choose',
  promises: [1, 5, 7, 11],
  rounds: { long: 4, short: 2 },
  missing: () =>
    Promise.resolve(
      url && command
        ? undefined
        : 'CRASH_KURRENTDB_URL and CRASH_KURRENTDB_COMMAND name no cluster that may be harmed',
    ),
  run: (context) => run(context, { mutant: false }),
  canaries: [
    {
      mutant: 'a log that has lost its end, as in an election without a quorum',
      rounds: 1,
      run: (context) => run(context, { mutant: true }),
      caught: ({ lost }) => lost > 0,
    },
  ],
};

async function run(context: Context, { mutant }: { mutant: boolean }): Promise<Counts> {
  const { directory, rounds } = context;
  const prefix = `crash-${randomUUID()}-`;
  const product = await Product.start({
    directory,
    environment: {
      EVENT_STORE: 'kurrentdb',
      KURRENTDB_URL: url as string,
      KURRENTDB_STREAM_PREFIX: prefix,
    },
  });
  const caller = startCaller({
    url: product.url,
    key: product.key,
    file: join(directory, 'acknowledged.ndjson'),
    connections: 16,
  });
  const measured: string[] = [];
  const findings: string[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      await served(caller);
      const harm = round % 2 === 1 ? killLeader : freezeLeader;
      const pause = mutant ? 0 : await longestPause(caller, harm);
      if (!mutant) measured.push(`${harm.name}: longest pause ${pause} ms`);
      if (harm === killLeader && pause > PAUSE)
        findings.push(`a pause of ${pause} ms after the leader was killed`);
      context.progress(round, { acknowledged: caller.soFar().acknowledged });
    }
    await caller.stop();
    const whole = await readKurrentDbLog(url as string, prefix);
    const log = compareLog(mutant ? whole.slice(0, -5) : whole, caller.acknowledged(), true);
    const counts = await countsOf(product, caller, { rounds, log });
    return { ...counts, measured, findings: [...findings, ...counts.findings] };
  } finally {
    caller.kill();
    await product.stop();
  }
}

async function served(caller: Caller): Promise<void> {
  const before = caller.soFar().acknowledged;
  await until('somebody is served', () => caller.soFar().acknowledged > before + 200, 120_000);
}

/** Milliseconds in which nothing was acknowledged, the longest while the harm was done and until all is well again. */
async function longestPause(caller: Caller, harm: () => Promise<void>): Promise<number> {
  let [longest, since, seen] = [0, performance.now(), caller.soFar().acknowledged];
  const watching = setInterval(() => {
    const { acknowledged } = caller.soFar();
    const now = performance.now();
    longest = Math.max(longest, now - since);
    if (acknowledged > seen) [since, seen] = [now, acknowledged];
  }, 20);
  try {
    await harm();
    await served(caller);
    return Math.round(longest);
  } finally {
    clearInterval(watching);
  }
}

async function killLeader(): Promise<void> {
  const node = await tell('leader');
  await tell('kill', node);
  await sleep(15_000);
  await tell('start', node);
}

async function freezeLeader(): Promise<void> {
  const node = await tell('leader');
  await tell('freeze', node);
  await sleep(FROZEN);
  await tell('thaw', node);
}

const runFile = promisify(execFile);

async function tell(...words: readonly string[]): Promise<string> {
  const { stdout } = await runFile(command as string, [...words]);
  return stdout.trim();
}
