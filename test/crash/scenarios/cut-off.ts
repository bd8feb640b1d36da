import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, FaultProxy, type Weather } from '../../support/fault-proxy.js';
import { underLoad } from '../outcome.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** What befalls a connection, on the way to the server or from there to the database. */
type Trouble =
  | { readonly where: 'caller' | 'database'; readonly fault: Fault; readonly only?: string }
  | { readonly where: 'caller' | 'database'; readonly weather: Weather };

const TROUBLES: readonly Trouble[] = [
  { where: 'caller', fault: 'cut-reply', only: 'POST' },
  { where: 'caller', fault: 'cut-request', only: 'POST' },
  { where: 'caller', fault: 'reset', only: 'POST' },
  { where: 'caller', weather: { byteLimit: 2_000 } },
  { where: 'caller', weather: { latency: 30, slowClose: 100 } },
  // After the commit and before its answer: the whole point of an Idempotency-Key.
  { where: 'database', fault: 'cut-reply', only: 'append_events' },
  { where: 'database', fault: 'cut-request', only: 'append_events' },
  { where: 'database', fault: 'reset' },
  { where: 'database', fault: 'silent', only: 'append_events' },
  { where: 'database', fault: 'blackhole' },
  { where: 'database', weather: { byteLimit: 20_000 } },
  { where: 'database', weather: { latency: 20, slowClose: 100 } },
];

export const cutOff: Scenario = {
  name: 'cut-off',
  about: 'connections are cut, reset, muted and slowed between caller, server and database',
  promises: [1, 5, 6, 11],
  rounds: { long: 200, short: TROUBLES.length },
  run: (context) => run(context, { forgetful: false }),
  canaries: [
    {
      mutant: 'a caller who repeats what was cut off with a new Idempotency-Key',
      rounds: 24,
      run: (context) => run(context, { forgetful: true }),
      caught: ({ doubled }) => doubled > 0,
    },
  ],
};

async function run(context: Context, { forgetful }: { forgetful: boolean }): Promise<Counts> {
  const { random } = context;
  const before = await FaultProxy.to({ port: 0 });
  const through = ({ url }: { url: string }) => {
    before.lead({ host: '127.0.0.1', port: Number(new URL(url).port) });
    return `http://127.0.0.1:${before.port}`;
  };
  const order = shuffled(TROUBLES, random);
  try {
    const calling = { forgetful, connections: 6 };
    return await underLoad(context, { calling, through }, async ({ product, served }, done) => {
      const trouble = order[done % order.length] as Trouble;
      const proxy = trouble.where === 'caller' ? before : product.proxy;
      if ('weather' in trouble) proxy.weather = trouble.weather;
      else proxy.set(trouble.fault, trouble.only);
      await sleep(200 + random() * 600);
      proxy.weather = {};
      proxy.set('none');
      await served(5).catch((error: Error) => {
        throw new Error(`after ${JSON.stringify(trouble)}: ${error.message}`);
      });
    });
  } finally {
    await before.close();
  }
}

function shuffled<T>(all: readonly T[], random: () => number): readonly T[] {
  return all
    .map((one) => ({ one, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}
