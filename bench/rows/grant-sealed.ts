import { setTimeout as sleep } from 'node:timers/promises';
import { metricOf, sealedLeaves } from '../metric.js';
import type { Row } from '../row.js';
import type { Server } from '../stage.js';
import { grantsOver } from './grant-http.js';

/** Longer than from one checkpoint to the next, in milliseconds. */
const ROUND = 3_000;

export default {
  name: 'grant-sealed',
  subject: 'durable grants over HTTP, 64 connections, everything on',
  reference: 'the same of a server that seals nothing',
  goal: { kind: 'rate', unit: 'requests/s', atLeast: 0.9 },
  async prepare(stage) {
    const sealing = await grantsOver(stage);
    const open = await grantsOver(stage, {
      name: 'grants-not-sealed',
      settings: { LEDGER_ROLES: 'api,projector,jobs' },
    });
    return {
      subject: async () => {
        const before = await sealedLeaves(sealing.server);
        const sample = await sealing.subject();
        // The other one shall not be held up by what is left to be sealed.
        const leaves = (await allSealed(sealing.server)) - before;
        if (leaves === 0) throw new Error('nothing was sealed');
        return { ...sample, more: { ...sample.more, leaves } };
      },
      reference: async () => {
        const sample = await open.subject();
        if ((await metricOf(open.server, 'ledger_sealed_leaves')) !== undefined)
          throw new Error('the reference has a sealer');
        return sample;
      },
    };
  },
} satisfies Row;

/** How many leaves there are once there is no news. */
async function allSealed(server: Server): Promise<number> {
  for (let before = -1; ; await sleep(ROUND)) {
    const leaves = await sealedLeaves(server);
    if (leaves === before) return leaves;
    before = leaves;
  }
}
