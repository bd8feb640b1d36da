import { setTimeout as sleep } from 'node:timers/promises';
import { START } from '#core/kernel/position.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { FaultProxy } from '../../support/fault-proxy.js';
import { ledgerDatabase } from '../../contract/ledger-database.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** Milliseconds after which a follower knows of what was recorded, told or not. */
const STALENESS = 1_000;

export const unnoticed: Scenario = {
  name: 'unnoticed',
  about: 'no session that listens hears anything, and each is ended as soon as it is there',
  promises: [10],
  rounds: { long: 200, short: 8 },
  run: (context) => run(context),
  canaries: [
    {
      mutant: 'notifications are relied on: it polls once a minute',
      rounds: 1,
      run: (context) => run(context, 60_000),
    },
  ],
};

async function run({ rounds, random, progress }: Context, pollEvery?: number): Promise<Counts> {
  const database = await ledgerDatabase();
  const writing = database.open();
  // What is heard at once on the way back would else be as good as a notification.
  const { proxy, url } = await FaultProxy.before(database.url);
  proxy.set('silent', 'listen ledger_appended');
  const following = database.open({ pollEvery, connectionString: url });
  const stop = new AbortController();
  const seen = new Map<string, number>();
  let delivered = 0;
  const reading = (async () => {
    for await (const { events } of following.follow(START, { limit: 100, signal: stop.signal }))
      for (const { position } of events) {
        delivered++;
        seen.set(position, performance.now());
      }
  })();
  const told = new Map<string, number>();
  try {
    await sleep(300);
    await database.terminate('listener', { forEver: true });
    for (let done = 1; done <= rounds; done++) {
      await sleep(random() * 600);
      const stream = sampleStream();
      const events = sampleEvents(stream, 1);
      const { position } = await writing.append({ stream, expected: { kind: 'none' }, events });
      told.set(position, performance.now());
      progress(done, {});
    }
    await sleep(STALENESS * 2);
  } finally {
    stop.abort();
    await reading;
    await Promise.all([writing.close(), following.close()]);
    await proxy.close();
    await database.drop();
  }
  const staleness = [...told].map(([position, at]) => (seen.get(position) ?? Infinity) - at);
  return {
    rounds,
    acknowledged: told.size,
    lost: 0,
    skipped: staleness.filter((milliseconds) => milliseconds === Infinity).length,
    doubled: delivered - seen.size,
    longest: { took: Math.round(Math.max(...staleness)), deadline: STALENESS },
    findings: [],
  };
}
