import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.js';
import { grantsOver } from './grant-http.js';

export default {
  name: 'sealer',
  subject: 'how long what was recorded waits for a signed checkpoint, under the grant load',
  goal: { kind: 'limit', unit: 's at most', atMost: 5 },
  async prepare(stage) {
    const { server, subject } = await grantsOver(stage);
    const measured = async (name: string) => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
      if (value === undefined) throw new Error(`the server does not measure ${name}`);
      return Number(value);
    };
    return {
      subject: async () => {
        let loading = true;
        const before = await measured('ledger_sealed_leaves');
        const began = performance.now();
        const load = subject().finally(() => (loading = false));
        let longest = 0;
        while (loading) {
          longest = Math.max(longest, await measured('ledger_sealer_behind_seconds'));
          await sleep(100);
        }
        const seconds = (performance.now() - began) / 1_000;
        const { value: grantsPerSecond } = await load;
        const leavesPerSecond = ((await measured('ledger_sealed_leaves')) - before) / seconds;
        return { value: longest, more: { grantsPerSecond, leavesPerSecond } };
      },
    };
  },
} satisfies Row;
