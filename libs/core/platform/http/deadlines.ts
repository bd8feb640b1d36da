import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refused } from '#core/kernel/refused.js';
import type { ProblemFilter } from './problem.filter.js';

/**
 * Every call has an answer in time. What keeps it waiting may be beyond anybody's reach, such as a database that hears
 * and says nothing: then the answer is that there is none yet. What the call began ends by its own limits, and a
 * repetition with the same Idempotency-Key finds out what came of it.
 */

/** Milliseconds from the request to the head of its answer, for all that is ours to do. */
export const CALL_DEADLINE = 15_000;

/** How many times within a deadline it is looked whose has passed. */
const LOOKS = 60;

declare module 'fastify' {
  interface FastifyRequest {
    /** While its body is a stream and the next part of it is awaited: the time is the caller's. */
    awaitsCaller?: boolean;
  }
}

/**
 * Answers 503 for whatever has no head after the deadline. Streams whose head is out see to themselves. One clock for
 * all calls, which are kept in the order of their time: a call costs an entry, and a look those that are due.
 */
export function registerDeadlines(
  server: FastifyInstance,
  filter: Pick<ProblemFilter, 'send'>,
  deadline = CALL_DEADLINE,
): void {
  const began = new Map<FastifyReply, number>();
  let now = 0;
  server.addHook('onRequest', (_request, reply, done) => {
    began.set(reply, now);
    done();
  });
  server.addHook('onResponse', (_request, reply, done) => {
    began.delete(reply);
    done();
  });
  const look = () => {
    now++;
    for (const [reply, since] of began) {
      if (now - since <= LOOKS) return;
      began.delete(reply);
      const { request, raw } = reply;
      if (raw.headersSent || raw.destroyed) continue;
      if (isOfTheCaller(request)) began.set(reply, now);
      else filter.send(tooLate(request, deadline), request.id, reply);
    }
  };
  const clock = setInterval(look, deadline / LOOKS).unref();
  server.addHook('onClose', (_server, done) => {
    clearInterval(clock);
    done();
  });
}

/** Nothing has begun, or goes on, until the caller has said more; how long that may take is limited elsewhere. */
function isOfTheCaller({ raw, awaitsCaller }: FastifyRequest): boolean {
  return awaitsCaller ?? !raw.complete;
}

/** `asked`: it has an Idempotency-Key, and what it asks for may be under way. */
function tooLate({ asked }: FastifyRequest, deadline: number): Refused {
  const within = `within ${deadline / 1_000} s`;
  return asked === undefined
    ? new Refused('unavailable', 'too-late', `There was no answer ${within}; ask again.`)
    : new Refused(
        'unavailable',
        'outcome-unknown',
        `There was no answer ${within}: it may have been recorded; repeat it with the same Idempotency-Key.`,
      );
}
