import 'reflect-metadata';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { startProcess } from '#core/runtime/process.js';
import { eventCatalogue, guards, SERVING } from '#domains/slices.js';
import { WorkerModule } from './worker.module.js';

/**
 * Follows the log beside servers that have the `api` role only: read models, reactions, jobs; no API. With a
 * PORT it serves health and metrics there.
 */
async function main(): Promise<void> {
  const config = readConfig();
  const roles = new Set([...config.roles].filter((role) => role !== 'api'));
  const parts = { eventCatalogue, guards, serving: SERVING, module: WorkerModule.over };
  const { stop, url } = await startProcess(config.with({ roles }), parts, openLog(config.logLevel));
  process.stderr.write(`Consent ledger worker is ready${url ? `: ${url}` : ''}\n`);
  const end = () =>
    void stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? error.message : 'the worker could not start'}\n`,
  );
  process.exit(1);
});
