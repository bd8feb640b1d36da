import { setTimeout as sleep } from 'node:timers/promises';
import type { Projection } from '#core/projector/projection.js';
import { Projector } from '#core/projector/projector.js';
import { connect, withoutFence, withoutTransaction } from '../../support/connect.js';
import { TableLog } from './table-log.js';
import { tally } from './tally.js';

/** What a child process does: `worker.ts <settings as JSON>`. Says what happens in lines of JSON. */
export interface WorkerSettings {
  readonly url: string;
  readonly leaseMilliseconds: number;
  /** Events a batch. */
  readonly limit: number;
  /** How likely the process ends itself with SIGKILL, at the start and at the end of `apply`. */
  readonly suicide?: number;
  /** Milliseconds that `apply` takes longer. */
  readonly slow?: number;
  readonly twin?: 'fence' | 'transaction';
  readonly version?: number;
  readonly partitions?: number;
  /** Rebuilds and ends, rather than to follow the log. */
  readonly rebuild?: boolean;
}

const settings = JSON.parse(process.argv[2] as string) as WorkerSettings;

function perhapsDie(): void {
  if (Math.random() < (settings.suicide ?? 0)) process.kill(process.pid, 'SIGKILL');
}

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const intercept = { fence: withoutFence, transaction: withoutTransaction, none: undefined };
const db = connect(settings.url, { intercept: intercept[settings.twin ?? 'none'] });
const projections: Projection[] = [
  tally({
    version: settings.version ?? 1,
    partitions: settings.partitions ?? 1,
    before: perhapsDie,
    after: async () => {
      if (settings.slow) await sleep(settings.slow);
      perhapsDie();
    },
  }),
];
const projector = new Projector({
  db,
  log: new TableLog(db),
  projections,
  leaseMilliseconds: settings.leaseMilliseconds,
  runner: { limit: settings.limit, rebuildLimit: settings.limit },
  report: ({ kind }) => say({ kind }),
});
process.on('SIGTERM', () => void projector.stop().then(() => db.destroy()));
if (settings.rebuild) {
  await projector.rebuild(['tally'], { onProgress: ({ done, phase }) => say({ done, phase }) });
  await db.destroy();
} else projector.start();
