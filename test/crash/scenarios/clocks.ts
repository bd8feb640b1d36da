import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { underLoad } from '../outcome.js';
import type { Product } from '../product.js';
import type { Context, Counts, Scenario } from '../scenario.js';

const DAY = 86_400_000;
/** Milliseconds in which readiness must tell. */
const AT_ONCE = 5_000;

/** Each jumps in its turn: forth, back behind the time that everybody else has, and where it should be. */
const CLOCKS = ['database', 'server', 'worker'] as const;
const JUMPS = [DAY, -DAY, 0];
type Clock = (typeof CLOCKS)[number];

export const clocks: Scenario = {
  name: 'clocks',
  about: 'the clocks of server, worker and database jump a day forth and back while people choose',
  promises: [3, 6, 7, 12],
  rounds: { long: 100, short: 12 },
  run: (context) => run(context, () => Promise.resolve()),
  canaries: [
    {
      mutant:
        'what is recorded is stamped with the time of the clock, whatever was recorded before',
      rounds: 12,
      run: (context) => run(context, stampByTheClock),
      caught: ({ findings }) => findings.some((what) => what.startsWith('time goes back')),
    },
  ],
};

async function run(
  context: Context,
  prepare: (owner: pg.Client) => Promise<void>,
): Promise<Counts> {
  const findings = new Set<string>();
  const within = AT_ONCE * context.lenience;
  const calling = { connections: 6, pause: 10 };
  const counts = await underLoad(context, { calling }, async ({ product, served }, done) => {
    await asOwner(product, async (owner) => {
      if (done === 0) {
        await giveTheDatabaseAClock(owner);
        await prepare(owner);
        await served(10);
        if (!(await tellsThatItLiesBehind(product, within)))
          findings.add(`a server a day behind was not red within ${within} ms`);
      }
      const clock = CLOCKS[done % CLOCKS.length] as Clock;
      const ahead = JUMPS[Math.floor(done / CLOCKS.length) % JUMPS.length] as number;
      await setClock(product, owner, clock, ahead);
      // It is noticed within 20 ms.
      await sleep(40);
      await served(10).catch((error: Error) => {
        throw new Error(`after the clock of the ${clock} was set to ${ahead}: ${error.message}`);
      });
      // The last one is left with the clocks as they are.
      if (done + 1 === context.rounds) findingsOf(await timesOf(owner), findings);
    });
  });
  return { ...counts, findings: [...counts.findings, ...findings] };
}

async function setClock(
  product: Product,
  owner: pg.Client,
  clock: Clock,
  ahead: number,
): Promise<void> {
  switch (clock) {
    case 'server':
    case 'worker':
      return product.setClock(clock, ahead);
    case 'database':
      await owner.query(`update clocks.set set ahead = $1 * interval '1 millisecond'`, [ahead]);
  }
}

async function tellsThatItLiesBehind(product: Product, within: number): Promise<boolean> {
  product.setClock('server', -DAY);
  try {
    for (const until = performance.now() + within; performance.now() < until; await sleep(50)) {
      const answer = await product.call('GET', '/health/ready');
      if (answer.status === 503 && (await answer.text()).includes('the clock lies behind'))
        return true;
    }
    return false;
  } finally {
    product.setClock('server', 0);
  }
}

/** The time that appends ask for is then one that can be set. */
async function giveTheDatabaseAClock(owner: pg.Client): Promise<void> {
  const { rows } = await owner.query<{ append: string }>(
    `select oid::regprocedure::text as append from pg_proc where proname = 'append_events'`,
  );
  await owner.query(`
    create schema clocks;
    create table clocks.set (ahead interval not null);
    insert into clocks.set values ('0');
    create function clocks.clock_timestamp() returns timestamptz language sql volatile as
      'select pg_catalog.clock_timestamp() + ahead from clocks.set';
    alter function ${rows[0]?.append} set search_path = clocks, pg_catalog, pg_temp`);
}

async function stampByTheClock(owner: pg.Client): Promise<void> {
  const { rows } = await owner.query<{ definition: string }>(
    `select pg_get_functiondef(oid) as definition from pg_proc where proname = 'append_events'`,
  );
  const definition = rows[0]?.definition ?? '';
  const without = definition.replace('if last_time > stamp_time then', 'if false then');
  if (without === definition) throw new Error('nothing was broken: appends are stamped otherwise');
  await owner.query(without);
}

/** In the order of their positions. */
async function timesOf(owner: pg.Client): Promise<readonly Date[]> {
  const { rows } = await owner.query<{ recorded_at: Date }>(
    'select recorded_at from ledger.events order by position',
  );
  return rows.map(({ recorded_at }) => recorded_at);
}

function findingsOf(times: readonly Date[], findings: Set<string>): void {
  for (const [index, time] of times.entries()) {
    const before = times[index - 1];
    if (before !== undefined && before > time)
      findings.add(`time goes back at position ${index + 1}`);
  }
  const [first, last] = [times.at(0), times.at(-1)];
  // Else nothing was set at all.
  if (Number(last) - Number(first) < DAY / 2) findings.add('no clock was ahead of the log');
}

async function asOwner(product: Product, work: (owner: pg.Client) => Promise<void>): Promise<void> {
  const owner = new pg.Client({ connectionString: product.ownerUrl });
  await owner.connect();
  try {
    await work(owner);
  } finally {
    await owner.end();
  }
}
