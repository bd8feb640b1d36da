import { setTimeout as sleep } from 'node:timers/promises';
import type { FollowerSettings } from '../follower-process.js';
import { type UnderLoad, underLoad } from '../outcome.js';
import type { Canary, Context, Scenario } from '../scenario.js';

/** Milliseconds. */
const LEASE = 400;
const FOLLOWERS = ['follower-1', 'follower-2'] as const;

export const followersKilled: Scenario = {
  name: 'follower-killed',
  about: 'whoever follows the log is killed with -9 between rows and checkpoint, and starts again',
  promises: [6, 7],
  rounds: { long: 100, short: 3 },
  run: (context) => run(context, kill(context)),
  canaries: [canary('rows and checkpoint are not one transaction', 'transaction', kill)],
};

export const followersFrozen: Scenario = {
  name: 'follower-frozen',
  about: 'of two who follow the log one is frozen for more than two leases, and wakes up',
  promises: [7],
  rounds: { long: 100, short: 4 },
  run: (context) => run(context, freeze(context)),
  canaries: [canary('the checkpoint is moved without its epoch and old position', 'fence', freeze)],
};

type Round = (load: UnderLoad, done: number) => Promise<void>;

function run(context: Context, round: Round, twin?: FollowerSettings['twin']) {
  const followers = { leaseMilliseconds: LEASE, twin };
  return underLoad(context, { followers, calling: { connections: 4 } }, round);
}

function canary(
  mutant: string,
  twin: FollowerSettings['twin'],
  round: (context: Context) => Round,
): Canary {
  return { mutant, rounds: 12, run: (context) => run(context, round(context), twin) };
}

function kill({ random }: Context): Round {
  return async ({ product, served }, done) => {
    const part = FOLLOWERS[done % 2] as (typeof FOLLOWERS)[number];
    await served(10);
    await sleep(random() * 200);
    await product.kill(part);
    // The other one takes over meanwhile.
    await product.bring(part);
  };
}

function freeze({ random }: Context): Round {
  return async ({ product, served }, done) => {
    const part = FOLLOWERS[done % 2] as (typeof FOLLOWERS)[number];
    await served(10);
    product.send(part, 'SIGSTOP');
    await sleep(LEASE * (2 + random()));
    product.send(part, 'SIGCONT');
    await sleep(random() * 200);
  };
}
