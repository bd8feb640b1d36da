import { CommandBus } from '@nestjs/cqrs';
import type { Logger } from 'pino';
import { Refused } from '#core/kernel/refused.js';
import type { Config } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { type RunningProcess, startProcess } from '#core/runtime/process.js';
import {
  type BootstrapKey,
  InstallBootstrapKey,
} from '#domains/access/commands/install-bootstrap-key.message.js';
import { eventCatalogue, guards, SERVING } from '#domains/slices.js';
import { AppModule } from './app.module.js';
import { forgetKey, keptKey } from './bootstrap-key.js';

/** The whole product in one process. */
export interface Server extends RunningProcess {
  /** The key that opens everything; absent where this ledger was first started with another one. */
  readonly key?: string;
  /** Where that key is kept; absent where one was given. */
  readonly keyFile?: string;
  /** Whether this start made the key, and it is to be shown. */
  readonly keyIsNew: boolean;
}

/** Starts everything that the configuration's roles say, with a key to come in by. */
export async function startServer(
  config: Config,
  logger: Logger = openLog(config.logLevel),
): Promise<Server> {
  const kept = await keptKey(config);
  let state = 'present' as BootstrapKey['state'];
  const parts = { eventCatalogue, guards, serving: SERVING, module: AppModule.over };
  const process = await startProcess(config, parts, logger, async (nest) => {
    ({ state } = await nest.get(CommandBus).execute(new InstallBootstrapKey(kept.secret)));
    if (state === 'other' && kept.file === undefined) throw foreignKey();
  });
  const opens = state === 'installed' || state === 'present';
  // Another machine made the key of this ledger: the one that we made opens nothing.
  if (state === 'other' && kept.made) await forgetKey(config);
  return {
    ...process,
    key: opens ? kept.secret : undefined,
    keyFile: opens ? kept.file : undefined,
    keyIsNew: state === 'installed' && kept.made,
  };
}

function foreignKey(): Refused {
  return new Refused(
    'conflict',
    'bootstrap-key-differs',
    'LEDGER_BOOTSTRAP_KEY is not the one that this ledger was first started with',
  );
}
