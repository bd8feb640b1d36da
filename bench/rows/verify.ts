import { copyOut } from '../copy.js';
import { appFile, run } from '../processes.js';
import type { Row } from '../row.js';
import { sql } from '../stage.js';

export default {
  name: 'verify',
  subject: 'the whole ledger checked by `ledgerctl verify`, its start included',
  reference: 'COPY of all events to a client',
  goal: { kind: 'rate', unit: 'events/s', atLeast: 0.5 },
  limits: { peakMb: { unit: 'MB', atMost: 300 } },
  async prepare(stage) {
    const { directory, databaseUrl } = await stage.ledger(stage.size.events);
    const [counted] = await sql<{ events: number }>(
      databaseUrl,
      'select count(*)::int as events from ledger.events',
    );
    const { events } = counted as { events: number };
    const perSecond = (began: number) => events / ((performance.now() - began) / 1_000);
    return {
      subject: async () => {
        const began = performance.now();
        const args = ['--json', 'verify'];
        const { stdout, peakMb } = await run(appFile('ledgerctl'), args, {
          LEDGER_DATA_DIR: directory,
        });
        const value = perSecond(began);
        const verified = JSON.parse(stdout) as { ok: boolean; events: number };
        if (!verified.ok || verified.events < events) throw new Error(`verify says ${stdout}`);
        return { value, more: { peakMb } };
      },
      reference: async () => {
        const began = performance.now();
        await copyOut(databaseUrl, 'copy ledger.events to stdout (format binary)', () => undefined);
        return { value: perSecond(began) };
      },
    };
  },
} satisfies Row;
