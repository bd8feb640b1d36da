import { copyOut } from '../copy.js';
import { appFile, run } from '../processes.js';
import type { Row } from '../row.js';
import { sql } from '../stage.js';

export default {
  name: 'rebuild',
  subject: 'the read model of standings made anew by `ledgerctl rebuild`, its start included',
  reference: 'COPY of all events to a client',
  goal: { kind: 'rate', unit: 'events/s', atLeast: 0.5 },
  limits: { peakMb: { unit: 'MB', atMost: 300 } },
  async prepare(stage) {
    const server = await stage.ledger(stage.size.events);
    const { directory, databaseUrl } = server;
    const [counted] = await sql<{ events: number }>(
      databaseUrl,
      'select count(*)::int as events from ledger.events',
    );
    const { events } = counted as { events: number };
    const perSecond = async (work: () => Promise<unknown>) => {
      const began = performance.now();
      await work();
      return events / ((performance.now() - began) / 1_000);
    };
    return {
      subject: async () => {
        let peakMb = 0;
        const value = await perSecond(async () => {
          const args = ['--json', 'rebuild', 'standing'];
          const done = await run(appFile('ledgerctl'), args, { LEDGER_DATA_DIR: directory });
          ({ peakMb } = done);
        });
        return { value, more: { peakMb } };
      },
      reference: async () => ({
        value: await perSecond(() =>
          copyOut(databaseUrl, 'copy ledger.events to stdout (format binary)', () => undefined),
        ),
      }),
    };
  },
} satisfies Row;
