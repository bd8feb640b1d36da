import { copyOut } from '../copy.js';
import { appFile, run } from '../processes.js';
import type { Row } from '../row.js';
import { sql } from '../stage.js';

export default {
  name: 'verify',
  subject: 'the whole ledger checked by `ledgerctl verify`, once it has opened the store',
  reference: 'COPY of the same columns to one client',
  goal: { kind: 'rate', unit: 'events/s', atLeast: 0.5 },
  limits: { peakMb: { unit: 'MB', atMost: 300 } },
  async prepare(stage) {
    const { directory, databaseUrl } = await stage.ledger(stage.size.events);
    const [counted] = await sql<{ events: number }>(
      databaseUrl,
      'select count(*)::int as events from ledger.events',
    );
    const { events } = counted as { events: number };
    return {
      subject: async () => {
        const began = performance.now();
        const args = ['--json', 'verify'];
        const { stdout, peakMb } = await run(appFile('ledgerctl'), args, {
          LEDGER_DATA_DIR: directory,
        });
        const whole = (performance.now() - began) / 1_000;
        const verified = JSON.parse(stdout) as { ok: boolean; events: number; seconds: number };
        if (!verified.ok || verified.events < events) throw new Error(`verify says ${stdout}`);
        const { seconds } = verified;
        return { value: events / seconds, more: { peakMb, startSeconds: whole - seconds } };
      },
      reference: async () => {
        const began = performance.now();
        await copyOut(databaseUrl, 'copy ledger.events to stdout (format binary)', () => undefined);
        return { value: events / ((performance.now() - began) / 1_000) };
      },
    };
  },
} satisfies Row;
