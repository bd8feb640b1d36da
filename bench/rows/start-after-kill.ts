import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Row } from '../row.js';
import { starting } from './start.js';

export default {
  name: 'start-after-kill',
  subject: 'a start after kill -9 of the server and its PostgreSQL',
  goal: { kind: 'limit', unit: 's', atMost: 10 },
  prepare: (stage) =>
    starting(stage, async (server) => {
      const pidFile = join(server.directory, 'postgres', 'data', 'postmaster.pid');
      const [postmaster] = (await readFile(pidFile, 'utf8')).split('\n');
      process.kill(server.pid, 'SIGKILL');
      process.kill(Number(postmaster), 'SIGKILL');
      await server.stop();
    }),
} satisfies Row;
