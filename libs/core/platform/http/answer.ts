import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Position } from '#core/kernel/position.js';
import { encodeConsistencyToken } from './preconditions.js';

/** What a handler says beside the body it returns. */
export class Answer {
  constructor(
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
  ) {}

  /** Where it is not the one declared with `@HttpCode`: the second erasure's 200. */
  status(status: number): this {
    void this.reply.status(status);
    return this;
  }

  /** `ETag`: the stream's revision, to be sent back in `If-Match`. */
  revision(revision: number): this {
    void this.reply.header('etag', `"${revision}"`);
    return this;
  }

  /** `Consistency-Token`: a read that carries it sees what was recorded up to here. */
  position(position: Position): this {
    void this.reply.header('consistency-token', encodeConsistencyToken(position));
    return this;
  }

  /** Where the stream and the ledger are after what was recorded. */
  recorded({ revision, position }: { revision: number; position: Position }): this {
    return this.revision(revision).position(position);
  }

  /** `Location`: a path below this server. */
  location(path: string): this {
    void this.reply.header('location', path);
    return this;
  }

  /** `Link: rel="next"`: the same call with the cursor of its next page; none where this is the last one. */
  nextPage(cursor: string | undefined): this {
    if (cursor === undefined) return this;
    const url = new URL(this.request.url, 'http://localhost');
    url.searchParams.set('cursor', cursor);
    void this.reply.header('link', `<${url.pathname}${url.search}>; rel="next"`);
    return this;
  }
}

/** The handler's parameter to say more than its body: `@Answering() answer: Answer`. */
export const Answering = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const http = context.switchToHttp();
  return new Answer(http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
});
