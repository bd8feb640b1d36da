import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Requested } from '#core/kernel/requested.js';
import { documented } from './documented.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What a command carries beside its input; set for routes that are idempotent. */
    asked?: Requested;
  }
}

/** The handler's parameter that a command is asked with: actor, receipt, expected revision. Idempotent routes only. */
export const Asked = documented(
  'If-Match',
  createParamDecorator((_: unknown, context: ExecutionContext): Requested => {
    const { asked } = context.switchToHttp().getRequest<FastifyRequest>();
    if (!asked) throw new Error('only idempotent routes ask for something to be recorded');
    return asked;
  }),
);
