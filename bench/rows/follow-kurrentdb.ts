import { appFile, run } from '../processes.js';
import { bareClient, missingKurrentDb, onKurrentDb } from '../kurrentdb.js';
import type { Row } from '../row.js';

export default {
  name: 'follow-kurrentdb',
  subject: 'the read model of standings made anew from a log on KurrentDB, its start included',
  reference: "the bare client's filtered subscription to $all over the same events",
  goal: { kind: 'rate', unit: 'events/s', atLeast: 0.5 },
  missing: missingKurrentDb,
  async prepare(stage) {
    const { prefix, environment } = onKurrentDb();
    const server = await stage.emptyServer('follow-kurrentdb', environment);
    const { key, url, directory } = server;
    const credentials = { LEDGER_URL: url, LEDGER_API_KEY: key };
    await run(appFile('ledgerctl'), ['seed', '--events', String(stage.size.events)], credentials);
    const headers = { authorization: `Bearer ${key}` };
    const feed = await (await fetch(`${url}/v1/events?after=0`, { headers })).text();
    const events = feed.split('\n').length - 1;
    const bare = await bareClient(stage);
    return {
      subject: async () => {
        const began = performance.now();
        const where = { ...environment, LEDGER_DATA_DIR: directory };
        const { peakMb } = await run(appFile('ledgerctl'), ['rebuild', 'standing'], where);
        const value = events / ((performance.now() - began) / 1_000);
        return { value, more: { peakMb } };
      },
      reference: () => bare({ kind: 'follow', prefix, events }),
    };
  },
} satisfies Row;
