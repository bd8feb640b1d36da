import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { checkLog } from '../log-check.js';
import { underLoad } from '../outcome.js';
import { PARTS, type Part, type Product } from '../product.js';
import type { Context, Counts, Scenario } from '../scenario.js';

// The writer of PostgreSQL's own log sleeps: what no commit waits for is then surely lost.
const settings = { wal_writer_delay: '10s' };
// Whoever was being served when the server died waits until the lease of that call ends: others go on.
const calling = { connections: 64, pause: 50 };

export const killed: Scenario = {
  name: 'killed',
  about: 'server, worker and PostgreSQL are killed with -9 at random instants while people choose',
  promises: [1, 5, 6, 7],
  rounds: { long: 200, short: 3 },
  run: ({ random, ...context }) =>
    underLoad({ random, ...context }, { settings, calling }, async ({ product, served }) => {
      await served(20);
      await Promise.all(
        someOf(PARTS, random).map(async (part) => {
          await sleep(random() * 400);
          await product.kill(part);
        }),
      );
      await sleep(random() * 300);
      await bringBack(product);
    }),
  canaries: [
    {
      mutant: 'commits do not wait for the disk (synchronous_commit=off)',
      rounds: 10,
      run: withoutWaiting,
      caught: ({ lost }) => lost > 0,
    },
  ],
};

/** Only what is lost is counted: nothing can be compared with a log that has forgotten. */
async function withoutWaiting(context: Context): Promise<Counts> {
  const { directory } = context;
  const found = { lost: 0, rounds: 0, acknowledged: 0 };
  class Lost extends Error {}
  try {
    await underLoad(
      { ...context, directory },
      { settings, calling },
      async ({ product, caller, served }, done) => {
        if (done === 0) await commitWithoutWaiting(product.ownerUrl);
        await served(20);
        await product.kill('postgres');
        await product.bring('postgres');
        const { lost } = await checkLog(product.ownerUrl, caller.acknowledged(), false);
        Object.assign(found, { lost, rounds: done + 1, acknowledged: caller.soFar().acknowledged });
        if (lost > 0) throw new Lost();
      },
    );
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
  }
  return { ...found, skipped: 0, doubled: 0, findings: [] };
}

/** PostgreSQL first: the others do not start without it. */
async function bringBack(product: Product): Promise<void> {
  const dead = (part: Part) => !product.isAlive(part);
  if (dead('postgres')) await product.bring('postgres');
  await Promise.all(PARTS.filter(dead).map((part) => product.bring(part)));
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
