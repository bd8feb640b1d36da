import { copyIn, copyOut } from '../copy.js';
import { appFile, run, watchMemory } from '../processes.js';
import type { Row } from '../row.js';
import { sql } from '../stage.js';

const COLUMNS = 'position, stream, revision, id, type, recorded_at, digest, bytes';

export default {
  name: 'import',
  subject: 'invented people and their choices through the bulk call, until they are visible',
  reference: 'COPY of the same events into a table with the same indexes',
  goal: { kind: 'rate', unit: 'events/s', atLeast: 0.25 },
  limits: {
    serverPeakMb: { unit: 'MB', atMost: 300 },
    peakMb: { unit: 'MB', atMost: 300 },
  },
  async prepare(stage) {
    const server = await stage.emptyServer('import');
    const { url, key, pid } = server;
    const database = await stage.database(server, 'bench_reference');
    const environment = { LEDGER_URL: url, LEDGER_API_KEY: key };
    const head = async () => {
      const [last] = await sql<{ position: string | null }>(
        server.databaseUrl,
        'select max(position) as position from ledger.events',
      );
      return Number(last?.position ?? 0);
    };
    const asked = Math.max(500, Math.floor(stage.size.events / 10));
    let pieces: Buffer[] = [];
    let events = 0;
    let round = 0;
    const again = async () => {
      const before = await head();
      const memory = watchMemory(pid);
      const began = performance.now();
      const args = ['seed', '--events', String(asked), '--seed', `round-${round++}`];
      const { peakMb } = await run(appFile('ledgerctl'), args, environment);
      const seconds = (performance.now() - began) / 1_000;
      const serverPeakMb = memory.stop();
      events = (await head()) - before;
      pieces = [];
      const recorded = `select ${COLUMNS} from ledger.events where position > ${before}`;
      await copyOut(server.databaseUrl, `copy (${recorded}) to stdout (format binary)`, (piece) =>
        pieces.push(Buffer.from(piece)),
      );
      return { value: events / seconds, more: { events, peakMb, serverPeakMb } };
    };
    await again();
    return {
      subject: again,
      // It writes what the subject has recorded last.
      reference: async () => {
        await sql(database, 'drop table if exists events');
        await sql(
          database,
          `create table events (
             position bigint primary key, stream text collate "C" not null, revision integer not null,
             id uuid not null, type text collate "C" not null, recorded_at timestamptz(3) not null,
             digest bytea not null, bytes bytea not null, unique (stream, revision), unique (stream, id))`,
        );
        const began = performance.now();
        await copyIn(database, `copy events (${COLUMNS}) from stdin (format binary)`, pieces);
        return { value: events / ((performance.now() - began) / 1_000) };
      },
    };
  },
} satisfies Row;
