import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyHttpOptions, FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Refused } from '#core/kernel/refused.js';
import type { Lifecycle } from '../lifecycle.js';
import type { Metrics } from '../metrics.js';
import { registerDeadlines } from './deadlines.js';
import { registerBodies } from './json-body.js';
import { PROBLEM_JSON, problemOf } from './problem.js';
import type { ProblemFilter } from './problem.filter.js';
import { RequestRefused } from './request-refused.js';
import './streaming.js';
import { traceIdOf, traceResponse } from './trace.js';

/** Above it 413; streams are limited by the line. */
export const BODY_LIMIT = 1024 * 1024;

/** For whoever keeps the process running and watches it: all that a process without the `api` role serves. */
export const WATCHED: ReadonlySet<string> = new Set(['/health/live', '/health/ready', '/metrics']);

/** Milliseconds in which a body that is no stream must have arrived. */
const BODY_TIMEOUT = 30_000;

/** For answers of a JSON API that carry personal data: nobody may keep, frame, sniff or embed them. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** Fastify under Nest, with errors handed to our filter as they are: Nest would drop their codes. */
class Adapter extends FastifyAdapter {
  override mapException(error: unknown): unknown {
    return error;
  }
}

/** The HTTP server, ready to be given to Nest: bodies, trace ids, headers, log and measurements. */
export function openServer(parts: {
  logger: Logger;
  lifecycle: Lifecycle;
  filter: ProblemFilter;
  /** Known only once Nest has made it. */
  metrics: () => Metrics | undefined;
  /** How many proxies stand before the process: who calls is what the outermost of them says. */
  proxies: number;
  /** Without it only health and metrics are served: a worker has a port for whoever watches it. */
  api: boolean;
  /** Milliseconds; absent: CALL_DEADLINE. */
  deadline?: number;
}): FastifyAdapter {
  const { logger, lifecycle, filter, metrics, proxies, api, deadline } = parts;
  const options: FastifyHttpOptions<Server> = {
    logger: false,
    // The request's id is its trace id, everywhere.
    genReqId: (raw) => traceIdOf(raw.headers),
    requestIdHeader: false,
    bodyLimit: BODY_LIMIT,
    // An address limits how often it may call, and is logged nowhere. One hop more than there are, and callers
    // could choose theirs.
    trustProxy: proxies > 0 && ((_address, hop) => hop < proxies),
    forceCloseConnections: 'idle',
    // While stopping, what has reached us is still answered.
    return503OnClosing: false,
    // A stream may take hours; other bodies have BODY_TIMEOUT.
    requestTimeout: 0,
    connectionTimeout: 0,
    http: { headersTimeout: 15_000 },
    routerOptions: { maxParamLength: 256, caseSensitive: true },
    frameworkErrors: (error, request, reply) => {
      void reply.headers(SECURITY_HEADERS);
      filter.send(error, request.id, reply);
    },
    clientErrorHandler: (error, socket) => {
      refuseConnection(error, socket);
    },
  };
  const adapter = new Adapter({ ...options, skipMiddie: true, multipart: false });
  const server = adapter.getInstance<FastifyInstance>();
  server.decorate('draining', lifecycle.draining);
  registerBodies(server);

  server.addHook('onRequest', (request, reply, done) => {
    void reply.headers(SECURITY_HEADERS).header('traceresponse', traceResponse(request.id));
    if (lifecycle.draining.aborted) void reply.header('connection', 'close');
    done();
  });

  registerDeadlines(server, filter, deadline);
  refuseOtherMethods(server);
  if (!api) refuseAllBut(server, WATCHED);

  server.addHook('preParsing', (request, reply, payload, done) => {
    const { raw } = request;
    const { 'content-length': length, 'transfer-encoding': encoding } = raw.headers;
    if ((length === undefined && encoding === undefined) || raw.complete || isStream(request))
      return done(null, payload);
    const timer = setTimeout(() => raw.destroy(), BODY_TIMEOUT).unref();
    const arrived = () => clearTimeout(timer);
    raw.once('end', arrived);
    reply.raw.once('close', arrived);
    done(null, payload);
  });

  server.addHook('onResponse', (request, reply, done) => {
    const route = routeOf(request);
    const milliseconds = reply.elapsedTime;
    metrics()?.requested(request.method, route, reply.statusCode, milliseconds);
    // This is all that is known of a request outside: no URL, query, header, address or body.
    logger.info(
      {
        method: request.method,
        route,
        status: reply.statusCode,
        ms: Math.round(milliseconds * 100) / 100,
        traceId: request.id,
        keyId: request.principal?.keyId,
      },
      'request',
    );
    done();
  });
  return adapter;
}

/** The route's template: `/v1/subjects/:id`. Paths that lead nowhere share one name. */
export function routeOf(request: FastifyRequest): string {
  return (request.is404 ? undefined : request.routeOptions.url) ?? '(none)';
}

function isStream(request: FastifyRequest): boolean {
  return /^application\/(x-ndjson|jsonl|ndjson)\b/i.test(request.headers['content-type'] ?? '');
}

/** Tells 405 from 404: Fastify answers 404 for both. Also spares a path that leads nowhere the reading of its body. */
function refuseOtherMethods(server: FastifyInstance): void {
  const methods = new Map<string, { pattern: RegExp; allowed: Set<string> }>();
  server.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? { pattern: patternOf(url), allowed: new Set<string>() };
    for (const one of Array.isArray(method) ? method : [method]) known.allowed.add(one);
    methods.set(url, known);
  });
  server.addHook('onRequest', (request, _reply, done) => {
    if (!request.is404) return done();
    const [path = ''] = (request.raw.url ?? '').split('?');
    const allowed = new Set<string>();
    for (const { pattern, allowed: some } of methods.values())
      if (pattern.test(path)) for (const one of some) allowed.add(one);
    if (allowed.size === 0)
      return done(new Refused('not-found', 'not-found', 'There is nothing at this path.'));
    done(
      new RequestRefused(
        'method-not-allowed',
        'method-not-allowed',
        'This path exists, but not with this method; see Allow.',
        { headers: { allow: [...allowed].sort().join(', ') } },
      ),
    );
  });
}

function refuseAllBut(server: FastifyInstance, routes: ReadonlySet<string>): void {
  server.addHook('onRequest', (request, _reply, done) => {
    if (routes.has(routeOf(request))) return done();
    done(new Refused('not-found', 'not-found', 'This process serves health and metrics only.'));
  });
}

function patternOf(template: string): RegExp {
  const source = template
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:[A-Za-z]\w*/g, '[^/]+')
    .replace(/\*$/, '.*');
  return new RegExp(`^${source}$`);
}

/** What is not even HTTP has no request to answer: the bytes of a problem are written to its socket. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request'];
  const refusal = Object.assign(new Error(), { name: 'FastifyError', statusCode: status });
  const body = JSON.stringify(problemOf(refusal, traceIdOf({})).problem);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: ${PROBLEM_JSON}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
