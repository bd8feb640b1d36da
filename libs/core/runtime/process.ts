import type { DynamicModule } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { postgresBudgets } from '#core/platform/budgets.postgres.js';
import type { Config } from '#core/platform/config.js';
import { type Application, createApplication } from '#core/platform/http/application.js';
import { HealthChecks } from '#core/platform/http/health.js';
import { Metrics } from '#core/platform/metrics.js';
import { Projector } from '#core/projector/projector.js';
import { Jobs } from './jobs.js';
import { type DomainParts, openRuntime, type Runtime } from './runtime.js';
import { startSealing } from './sealing.js';
import { translate } from './translate.js';

/** What a process is made of. */
export interface ProcessParts extends DomainParts {
  /** The module of all slices over an opened runtime; provides Projector and Jobs. */
  readonly module: (runtime: Runtime) => DynamicModule;
  /** Read models that serve decisions and subjects. */
  readonly serving: readonly string[];
}

/** A process of the product: it serves, follows the log, does jobs, or all of it, as its roles say. */
export interface RunningProcess {
  readonly nest: NestFastifyApplication;
  readonly runtime: Runtime;
  /** Absent where the process has no `api` role and no port was given to watch it by. */
  readonly url?: string;
  /** Something to tell whoever started it, such as another port than expected. */
  readonly notice?: string;
  stop(): Promise<void>;
}

/** Milliseconds that the start waits for the read models. */
const CATCH_UP = 5_000;

/**
 * Opens the stores, makes the application, begins to follow the log, and listens. `beforeListening` runs
 * when everything is there and nobody can call yet. What was opened is closed where any of it fails.
 */
export async function startProcess(
  config: Config,
  parts: ProcessParts,
  logger: Logger,
  beforeListening: (nest: NestFastifyApplication) => Promise<void> = () => Promise.resolve(),
): Promise<RunningProcess> {
  const runtime = await openRuntime(config, parts, logger);
  let application: Application | undefined;
  let sealing: { stop(): Promise<void> } | undefined;
  const stop = async () => {
    // Other processes go on with the read models at once, while the last requests are answered here.
    await Promise.all([application?.nest.get(Projector).handOver(), application?.stop()]);
    await sealing?.stop();
    await runtime.close();
  };
  try {
    application = await createApplication(parts.module(runtime), config, {
      logger,
      translate,
      budgets: postgresBudgets(runtime.database, (name) =>
        runtime.derivation.digest('call-budget', name),
      ),
    });
    const { nest } = application;
    await beforeListening(nest);
    const { recording } = runtime;
    const check = () => Promise.resolve(recording.finding());
    nest.get(HealthChecks).add({ name: 'recording', check });
    const projector = nest.get(Projector);
    const jobs = config.roles.has('jobs');
    projector.start({ projections: config.roles.has('projector'), reactors: jobs });
    if (jobs) nest.get(Jobs).start();
    if (config.roles.has('sealer'))
      sealing = startSealing(runtime, nest.get(HealthChecks), nest.get(Metrics));
    // Who asks right after the start is answered, unless there is a lot to catch up with.
    const head = await runtime.ledger.head();
    if (head) await projector.waitFor(head.position, parts.serving, { timeoutMs: CATCH_UP });
    const listens = config.roles.has('api') || config.port !== undefined;
    const listening = listens ? await application.listen() : undefined;
    const url = listening && urlOf(config.host, listening.port);
    return { nest, runtime, url, notice: listening?.notice, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
