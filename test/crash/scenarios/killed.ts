import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '../../projector/support/world.js';
import { startCaller } from '../caller.js';
import { checkLog } from '../log-check.js';
import { type Part, PARTS, Product } from '../product.js';
import { checkReadModels } from '../read-model-check.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** Milliseconds after which every call has an answer. */
const DEADLINE = 15_000;
/** Rounds after which the whole log is compared again, beside the last one. */
const COMPARE_EVERY = 10;

export const killed: Scenario = {
  name: 'killed',
  about: 'server, worker and PostgreSQL are killed with -9 at random instants while people choose',
  promises: [1, 5, 6, 7],
  rounds: { long: 200, short: 3 },
  run: (context) => run(context, { mutant: false }),
  canaries: [
    {
      mutant: 'commits do not wait for the disk (synchronous_commit=off)',
      rounds: 10,
      run: (context) => run(context, { mutant: true }),
      caught: ({ lost }) => lost > 0,
    },
  ],
};

async function run(context: Context, { mutant }: { mutant: boolean }): Promise<Counts> {
  const { directory, random, rounds } = context;
  // The writer of the log sleeps: what no commit waits for is then surely lost.
  const product = await Product.start({ directory, settings: { wal_writer_delay: '10s' } });
  const caller = startCaller({
    url: product.url,
    key: product.key,
    file: join(directory, 'acknowledged.ndjson'),
    connections: 8,
    deadline: DEADLINE,
  });
  try {
    if (mutant) await commitWithoutWaiting(product.ownerUrl);
    let lost = 0;
    let done = 0;
    while (done < rounds && lost === 0) {
      const before = caller.soFar().acknowledged;
      await until('somebody is served', () => caller.soFar().acknowledged > before + 20, 60_000);
      const victims = mutant ? (['postgres'] as const) : someOf(PARTS, random);
      await Promise.all(
        victims.map(async (part) => {
          await sleep(random() * 400);
          await product.kill(part);
        }),
      );
      await sleep(random() * 300);
      await Promise.all(PARTS.filter((part) => !product.isAlive(part)).map(bringer(product)));
      done++;
      if (mutant || done % COMPARE_EVERY === 0)
        ({ lost } = await checkLog(product.ownerUrl, caller.acknowledged(), false));
      context.progress(done, { acknowledged: caller.soFar().acknowledged, lost });
    }
    const { acknowledged, longest, findings } = caller.soFar();
    if (mutant) return { rounds: done, acknowledged, lost, skipped: 0, doubled: 0, findings: [] };
    await caller.stop();
    const log = await checkLog(product.ownerUrl, caller.acknowledged(), true);
    const runtime = await product.open();
    const rows = await checkReadModels(runtime).finally(() => runtime.close());
    return {
      rounds: done,
      acknowledged: caller.soFar().acknowledged,
      lost: log.lost,
      skipped: rows.skipped,
      doubled: log.doubled + rows.doubled,
      longest: { took: longest, deadline: DEADLINE },
      findings: [...findings, ...log.findings, ...rows.findings],
    };
  } finally {
    caller.kill();
    await product.stop();
  }
}

/** PostgreSQL first: the others do not start without it. */
function bringer(product: Product): (part: Part) => Promise<void> {
  const postgres = product.isAlive('postgres') ? Promise.resolve() : product.bring('postgres');
  return async (part) => {
    await postgres;
    if (part !== 'postgres') await product.bring(part);
  };
}

function someOf<T>(all: readonly T[], random: () => number): readonly T[] {
  const some = all.filter(() => random() < 0.6);
  return some.length > 0 ? some : [all[Math.floor(random() * all.length)] as T];
}

/** What every session would do on a server whose operator wanted it faster. */
async function commitWithoutWaiting(url: string): Promise<void> {
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  await owner.query(`
    create function public.hurry() returns trigger language plpgsql as
      $$ begin perform set_config('synchronous_commit', 'off', true); return null; end $$;
    create trigger hurry after insert on ledger.events for each statement
      execute function public.hurry()`);
  await owner.end();
}
