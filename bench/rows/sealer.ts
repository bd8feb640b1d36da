import { setTimeout as sleep } from 'node:timers/promises';
import { metricOf, sealedLeaves } from '../metric.js';
import type { Row } from '../row.js';
import { grantsOver } from './grant-http.js';

export default {
  name: 'sealer',
  subject: 'how long what was recorded waits for a signed checkpoint, under the grant load',
  goal: { kind: 'limit', unit: 's at most', atMost: 5 },
  async prepare(stage) {
    const { server, subject } = await grantsOver(stage);
    return {
      subject: async () => {
        let loading = true;
        const before = await sealedLeaves(server);
        const began = performance.now();
        const load = subject().finally(() => (loading = false));
        let longest = 0;
        while (loading) {
          const behind = await metricOf(server, 'ledger_sealer_behind_seconds');
          longest = Math.max(longest, behind ?? Infinity);
          await sleep(100);
        }
        const seconds = (performance.now() - began) / 1_000;
        const { value: grantsPerSecond } = await load;
        const leavesPerSecond = ((await sealedLeaves(server)) - before) / seconds;
        return { value: longest, more: { grantsPerSecond, leavesPerSecond } };
      },
    };
  },
} satisfies Row;
