import { CommandBus } from '@nestjs/cqrs';
import type { Logger } from 'pino';
import { Refused } from '#core/kernel/refused.js';
import type { Config } from '#core/platform/config.js';
import { type Application, createApplication } from '#core/platform/http/application.js';
import { openLog } from '#core/platform/logging.js';
import { Projector } from '#core/projector/projector.js';
import { Jobs } from '#core/runtime/jobs.js';
import { openRuntime, type Runtime } from '#core/runtime/runtime.js';
import { translate } from '#core/runtime/translate.js';
import { InstallBootstrapKey } from '#domains/access/commands/install-bootstrap-key.message.js';
import { eventCatalogue, guards, SERVING } from '#domains/slices.js';
import { AppModule } from './app.module.js';
import { keptKey } from './bootstrap-key.js';

/** A process that serves, follows the log, or both. */
export interface Server {
  /** Absent where this process has no `api` role. */
  readonly url?: string;
  /** Something to tell whoever started it, such as another port than expected. */
  readonly notice?: string;
  /** The key that opens everything. */
  readonly key: string;
  /** Where that key is kept; absent where one was given. */
  readonly keyFile?: string;
  /** Whether this start made the key, and it is to be shown. */
  readonly keyIsNew: boolean;
  readonly runtime: Runtime;
  stop(): Promise<void>;
}

/** Milliseconds that the start waits for the read models. */
const CATCH_UP = 5_000;

/** Opens the stores, makes the routes, begins to follow the log, and listens. */
export async function startServer(
  config: Config,
  logger: Logger = openLog(config.logLevel),
): Promise<Server> {
  const runtime = await openRuntime(config, { eventCatalogue, guards }, logger);
  let application: Application | undefined;
  const stop = async () => {
    await application?.stop();
    await runtime.close();
  };
  try {
    application = await createApplication(AppModule.over(runtime), config, { logger, translate });
    const { nest } = application;
    const key = await keptKey(config);
    const installed = await nest.get(CommandBus).execute(new InstallBootstrapKey(key.secret));
    const projector = nest.get(Projector);
    if (config.roles.has('projector') || config.roles.has('jobs')) projector.start();
    if (config.roles.has('jobs')) nest.get(Jobs).start();
    // Who asks right after the start is answered, unless there is a lot to catch up with.
    const head = await runtime.ledger.head();
    if (head) await projector.waitFor(head.position, SERVING, { timeoutMs: CATCH_UP });
    if (installed.state === 'other') throw foreignKey();
    const listening = config.roles.has('api') ? await application.listen() : undefined;
    return {
      url: listening && urlOf(config.host, listening.port),
      notice: listening?.notice,
      key: key.secret,
      keyFile: key.file,
      keyIsNew: installed.state === 'installed' && key.file !== undefined,
      runtime,
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

function foreignKey(): Refused {
  return new Refused(
    'conflict',
    'bootstrap-key-differs',
    'LEDGER_BOOTSTRAP_KEY is not the one that this ledger was first started with, or it was taken back',
  );
}
