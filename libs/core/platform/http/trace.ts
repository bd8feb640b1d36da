import { randomFillSync } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** Version 00 of W3C Trace Context; later versions may append fields. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/;

// Drawn in bulk: a system call per request would show.
const pool = Buffer.alloc(4096);
let used = pool.length;

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const hex = pool.toString('hex', used, used + bytes);
  used += bytes;
  return hex;
}

/** The caller's trace id from a valid `traceparent`, else a new one: 32 hex digits. */
export function traceIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['traceparent'];
  const [, traceId, parentId] = (typeof given === 'string' && TRACEPARENT.exec(given)) || [];
  if (traceId === undefined || /^0+$/.test(traceId) || /^0+$/.test(parentId as string))
    return randomHex(16);
  return traceId;
}

/** The `traceresponse` header: tells the caller under which trace we logged its request. */
export function traceResponse(traceId: string): string {
  return `00-${traceId}-${randomHex(8)}-00`;
}

/** The handler's parameter for the trace that its request belongs to. */
export const TraceId = createParamDecorator(
  (_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<FastifyRequest>().id,
);
