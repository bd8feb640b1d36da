import type { LogStore } from '#core/ledger/ledger.events.js';
import type { Config } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { giveUpBetween, moveBetween } from '#core/runtime/moving.js';
import { runningServer } from './connection.js';
import type { Output } from './output.js';
import { rebuild } from './store.js';

export interface CopyOptions {
  readonly from: LogStore;
  readonly to: LogStore;
  readonly final?: boolean;
  readonly compareAll?: boolean;
  readonly giveUp?: boolean;
}

/** Copies the log to another store, as often as wanted, and in the end lets that store take its place. */
export async function copy(config: Config, options: CopyOptions, out: Output): Promise<number> {
  const { from, to, final = false, compareAll, giveUp } = options;
  // The embedded database of a running server is one that we can be guests of.
  const { databaseUrl } = (await runningServer(config)) ?? {};
  const beside = databaseUrl === undefined ? config : config.with({ databaseUrl });
  const logger = openLog('warn', process.stderr);
  if (giveUp) {
    await giveUpBetween(beside, { from, to }, logger);
    out.result({ state: 'copying' }, `the log stays in ${from}; what was copied is gone on with`);
    return 0;
  }
  const moved = await moveBetween(
    beside,
    { from, to },
    {
      final,
      compareAnew: compareAll,
      onProgress: (phase, events) => out.progress(`${phase}: ${events} events`),
    },
    logger,
  );
  out.result(
    moved,
    [
      `${moved.copied} events copied; ${moved.events} are the same in ${from} and ${to}, up to position ${moved.upTo}`,
      `SHA-256 chain over their bytes in order: ${moved.digest}`,
      final
        ? `the log lies in ${to} now: set EVENT_STORE=${to} wherever it is served`
        : `${from} serves on; copy again to catch up, and with --final when the service has stopped`,
    ].join('\n'),
  );
  if (!final) return 0;
  return rebuild(config.with({ eventStore: to }), undefined, out);
}
