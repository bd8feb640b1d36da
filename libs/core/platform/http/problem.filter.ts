import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { failureOf } from '#core/platform/logging.js';
import { PROBLEM_JSON, problemOf, type Translate } from './problem.js';

/** The one place where an error becomes an answer, for handlers and for the server itself. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly translate?: Translate,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    this.send(error, request.id, http.getResponse<FastifyReply>());
  }

  /** For errors that never reach the framework's filters. */
  send(error: unknown, traceId: string, reply: FastifyReply): void {
    const { problem, headers, unexpected } = problemOf(error, traceId, this.translate);
    if (unexpected) this.logger.error({ traceId, failure: failureOf(error) }, 'unexpected failure');
    // The call had an answer before it failed: that it took too long.
    if (reply.raw.writableEnded) return;
    if (reply.raw.headersSent) {
      // Half an answer is out: only a broken connection tells the caller that it is not whole, and nothing why.
      const failure = failureOf(error);
      this.logger.warn({ traceId, code: problem.code, failure }, 'an answer was broken off');
      reply.raw.destroy();
      return;
    }
    // What the handler set for its own answer does not belong to this one.
    for (const name of ['etag', 'consistency-token', 'location', 'content-length', 'link'])
      void reply.removeHeader(name);
    // A body that nobody reads any more may have no end.
    const { raw } = reply.request;
    const hasBody =
      raw.headers['content-length'] !== undefined || raw.headers['transfer-encoding'] !== undefined;
    if (hasBody && !raw.complete) void reply.header('connection', 'close');
    void reply
      .status(problem.status)
      .headers(headers)
      .header('cache-control', 'no-store')
      .type(PROBLEM_JSON)
      .serializer((body: unknown) => JSON.stringify(body))
      .send(problem);
  }
}
