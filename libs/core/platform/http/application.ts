import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { Lifecycle } from '../lifecycle.js';
import { type Listening, listenPort } from '../listen-port.js';
import { FrameworkLog, openLog } from '../logging.js';
import type { DrawTokens } from '../budgets.js';
import { Metrics } from '../metrics.js';
import { PlatformModule } from '../platform.module.js';
import type { DocumentInfo } from './openapi.js';
import { OpenApiDocument } from './openapi.controller.js';
import { AUTHENTICATOR, AuthGuard, type Authenticator } from './auth.guard.js';
import { CallLimits } from './call-limits.js';
import { ProblemFilter } from './problem.filter.js';
import type { Translate } from './problem.js';
import { compileShapes, undeclaredRoutes } from './routes.js';
import { openServer } from './server.js';
import { ValidationPipe } from './validated-body.js';

/** Milliseconds that requests under way have to finish when the process stops. */
const GRACE = 10_000;

/** What the OpenAPI document says of itself. */
export const DOCUMENT: DocumentInfo = {
  title: 'Consent ledger',
  version: '1',
  description:
    'Records what people allow and on what basis, answers whether something is allowed, and proves both. Times are RFC 3339, languages BCP 47; refusals are RFC 9457.',
};

export interface ApplicationOptions {
  readonly logger?: Logger;
  /** Makes a refusal of errors that the platform does not know, such as a store's. */
  readonly translate?: Translate;
  /** The budgets of calls that all servers share; absent: everybody may call as often as they like. */
  readonly budgets?: DrawTokens;
  /** Builds modules and routes without making any provider: for the OpenAPI document. */
  readonly preview?: boolean;
  /** What the OpenAPI document says of itself. */
  readonly document?: DocumentInfo;
  /** Milliseconds in which every call has an answer. Absent: CALL_DEADLINE. */
  readonly deadline?: number;
}

/** An application that is ready to listen. */
export interface Application {
  readonly nest: NestFastifyApplication;
  readonly lifecycle: Lifecycle;
  listen(): Promise<Listening>;
  /** Readiness turns red, no connection is accepted, what is under way is finished, then everything closes. */
  stop(): Promise<void>;
}

/**
 * The HTTP application over `module`. Does not start while a route declares neither scope nor @Public, or a
 * body's class can not be read. Resources that handlers use must be closed in `onApplicationShutdown`: it
 * runs when the last request has been answered.
 */
export async function createApplication(
  module: Type | DynamicModule,
  config: Config,
  options: ApplicationOptions = {},
): Promise<Application> {
  const logger = options.logger ?? openLog(config.logLevel);
  const lifecycle = new Lifecycle();
  const filter = new ProblemFilter(logger, options.translate);
  let metrics: Metrics | undefined;
  const adapter = openServer({
    logger,
    lifecycle,
    filter,
    metrics: () => metrics,
    proxies: config.proxies,
    api: config.roles.has('api'),
    deadline: options.deadline,
  });
  const nest = await NestFactory.create<NestFastifyApplication>(
    { module: Root, imports: [PlatformModule.with({ config, logger, lifecycle }), module] },
    adapter,
    {
      logger: new FrameworkLog(logger),
      // The parser is ours.
      bodyParser: false,
      abortOnError: false,
      preview: options.preview ?? false,
    },
  );
  const undeclared = undeclaredRoutes(nest);
  if (undeclared.length > 0) throw new UndeclaredAccess(undeclared);
  compileShapes(nest);
  nest.useGlobalFilters(filter);
  nest.useGlobalPipes(new ValidationPipe());
  if (!options.preview) {
    metrics = nest.get(Metrics);
    const { budgets } = options;
    const limits = budgets && new CallLimits(config.limits, budgets, nest.get(Metrics).registry);
    const authenticator = nest.get<Authenticator>(AUTHENTICATOR, { strict: false });
    nest.useGlobalGuards(new AuthGuard(authenticator, limits));
  }
  await nest.init();
  if (!options.preview)
    nest.get(OpenApiDocument).build = async () => {
      const { openApiOf } = await import('./openapi.js');
      return openApiOf(nest, options.document ?? DOCUMENT);
    };
  await adapter.getInstance().ready();
  const connections = connectionsOf(nest.getHttpServer());
  return {
    nest,
    lifecycle,
    listen: () =>
      listenPort(config, async (port, host) => {
        await nest.listen(port, host);
        const address: unknown = nest.getHttpServer().address();
        return (address as { port: number }).port;
      }),
    stop: () => stop(nest, lifecycle, connections),
  };
}

/** A route that nobody decided who may call. */
export class UndeclaredAccess extends Error {
  override readonly name = 'UndeclaredAccess';
  constructor(readonly routes: readonly string[]) {
    super(`these routes declare neither @Requires nor @Public: ${routes.join(', ')}`);
  }
}

@Module({})
class Root {}

function connectionsOf(server: Server): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return open;
}

async function stop(
  nest: NestFastifyApplication,
  lifecycle: Lifecycle,
  connections: ReadonlySet<Socket>,
): Promise<void> {
  lifecycle.drain();
  const server = nest.getHttpServer();
  const sweep = setInterval(() => {
    // A connection that was kept alive for a request under way turns idle only when that is answered.
    server.closeIdleConnections();
    // One that was opened ahead of any request does not count as idle.
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  }, 50);
  const deadline = setTimeout(() => server.closeAllConnections(), GRACE);
  try {
    // First the server, then the modules: handlers still use what those hold.
    await nest.getHttpAdapter().getInstance().close();
    await nest.close();
  } finally {
    clearInterval(sweep);
    clearTimeout(deadline);
  }
}
