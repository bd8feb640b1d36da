import { connect, withoutFence, withoutTransaction } from '../support/connect.js';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import type { LogReader } from '#core/projector/log-reader.js';
import { Projector } from '#core/projector/projector.js';
import { openRuntime } from '#core/runtime/runtime.js';
import { eventCatalogue, guards, projections } from '#domains/slices.js';

/**
 * `follower-process.ts <settings as JSON>`: what a worker does for the read models, from the same sources and with the
 * same environment, with a lease that is short enough to be outlasted in a test, and with one thing broken where asked.
 */
export interface FollowerSettings {
  readonly leaseMilliseconds: number;
  /** The statement that moves the checkpoint looks at nothing; every statement commits by itself; one bad event is passed over. */
  readonly twin?: 'fence' | 'transaction' | 'skips';
}

const { leaseMilliseconds, twin } = JSON.parse(process.argv[2] as string) as FollowerSettings;
const config = readConfig();
const runtime = await openRuntime(config, { eventCatalogue, guards }, openLog('silent'));
const db = connect(config.databaseUrl as string, {
  intercept:
    twin === 'fence' ? withoutFence : twin === 'transaction' ? withoutTransaction : undefined,
});
const projector = new Projector({
  db,
  log: twin === 'skips' ? withoutWhatItCanNotRead(runtime.ledger) : runtime.ledger,
  projections: projections(),
  leaseMilliseconds,
});
projector.start();
process.stderr.write('The follower is ready\n');

/** Where an event can not be read it goes on behind it. */
function withoutWhatItCanNotRead(log: LogReader): LogReader {
  return Object.assign(Object.create(log) as LogReader, {
    follow: async function* (...[after, options]: Parameters<LogReader['follow']>) {
      for (let from = after; ;) {
        try {
          for await (const page of log.follow(from, options)) {
            yield page;
            from = page.scannedTo;
          }
          return;
        } catch (error) {
          const { position } = error as { position?: typeof after };
          if (position === undefined) throw error;
          from = position;
        }
      }
    },
  });
}
