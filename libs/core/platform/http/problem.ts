import { HttpException } from '@nestjs/common';
import { isDatabaseUnavailable } from '#core/platform/database.js';
import { Refused, type RefusalKind, type Violation } from '#core/kernel/refused.js';
import { RequestRefused, type RequestRefusalKind } from './request-refused.js';

/** An answer in `application/problem+json` (RFC 9457). */
export interface Problem {
  /** A path below this server, one for each code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly traceId: string;
  readonly errors?: readonly Violation[];
  /** Facts that help to act on it: the `subjectId` of who is registered already. */
  readonly [evidence: string]: unknown;
}

/** A problem, the headers that belong to it, and whether it is a fault of ours. */
export interface ProblemAnswer {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  readonly unexpected: boolean;
}

/** Makes a refusal of an error that the platform does not know, such as a store's. */
export type Translate = (error: unknown) => Refused | undefined;

export const PROBLEM_JSON = 'application/problem+json; charset=utf-8';

/** HTTP status codes appear here only. */
const STATUS: Readonly<Record<RefusalKind | RequestRefusalKind, number>> = {
  unreadable: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  gone: 410,
  precondition: 412,
  'too-large': 413,
  'unsupported-media-type': 415,
  invalid: 422,
  'too-many': 429,
  unavailable: 503,
};

/** Seconds after which to try again, where a refusal does not say. */
const RETRY_AFTER = 1;

/** What Fastify, Node and Nest refuse themselves, in our words: theirs repeat paths and values. */
const OF_THE_SERVER: Readonly<Record<number, readonly [code: string, detail: string]>> = {
  400: ['malformed-request', 'The request can not be read.'],
  401: ['credentials-missing', 'This call needs credentials.'],
  403: ['forbidden', 'This call is not allowed.'],
  404: ['not-found', 'There is nothing at this path.'],
  405: ['method-not-allowed', 'This path exists, but not with this method; see Allow.'],
  406: ['not-acceptable', 'No representation fits the Accept header.'],
  408: ['request-timeout', 'The request did not arrive in time.'],
  413: ['body-too-large', 'The body is larger than this call accepts.'],
  414: ['path-too-long', 'The path or one of its segments is too long.'],
  415: ['unsupported-media-type', 'The body must be application/json in UTF-8.'],
  429: ['too-many-requests', 'Too many requests; wait before the next one.'],
  431: ['headers-too-large', 'The headers are larger than this server accepts.'],
  503: ['unavailable', 'The server can not answer now.'],
};

/** What went wrong, for the caller: never a value, an id or a header of the request. */
export function problemOf(
  error: unknown,
  traceId: string,
  translate: Translate = () => undefined,
): ProblemAnswer {
  if (error instanceof RequestRefused) {
    const { kind, code, detail, more } = error;
    const headers = {
      ...(kind === 'too-many' ? { 'retry-after': String(RETRY_AFTER) } : {}),
      ...more.headers,
    };
    return answer(STATUS[kind], code, detail, traceId, more.violations, {}, headers);
  }
  const refused = error instanceof Refused ? error : translate(error);
  if (refused) {
    const { retryAfter, ...evidence } = refused.more.evidence ?? {};
    const wait = retryAfter ?? (refused.kind === 'unavailable' ? RETRY_AFTER : undefined);
    const headers: Record<string, string> =
      wait === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(Number(wait)))) };
    const { violations } = refused.more;
    return answer(
      STATUS[refused.kind],
      refused.code,
      refused.detail,
      traceId,
      violations,
      evidence,
      headers,
    );
  }
  const status = statusOf(error);
  const known = status === undefined ? undefined : OF_THE_SERVER[status];
  if (status !== undefined && known) {
    const headers: Record<string, string> =
      status === 503 || status === 429 ? { 'retry-after': String(RETRY_AFTER) } : {};
    return answer(status, known[0], known[1], traceId, undefined, {}, headers);
  }
  if (status !== undefined && status >= 400 && status < 500)
    return answer(status, 'refused', 'The request was refused.', traceId);
  if (isDatabaseUnavailable(error))
    return answer(
      503,
      'database-unavailable',
      'The database can not be used now. Repeat the call with the same Idempotency-Key.',
      traceId,
      undefined,
      {},
      { 'retry-after': String(RETRY_AFTER) },
    );
  return {
    ...answer(
      500,
      'internal',
      'Something went wrong here. The trace id finds it in our log.',
      traceId,
    ),
    unexpected: true,
  };
}

function answer(
  status: number,
  code: string,
  detail: string,
  traceId: string,
  errors?: readonly Violation[],
  evidence: object = {},
  headers: Readonly<Record<string, string>> = {},
): ProblemAnswer {
  const title = titleOf(code);
  const problem = {
    // First, so that no evidence stands in for a member of the format.
    ...evidence,
    type: `/problems/${code}`,
    title,
    status,
    detail,
    code,
    traceId,
    ...(errors && errors.length > 0 ? { errors } : {}),
  };
  return { problem, headers, unexpected: false };
}

/** `subject-erased` is titled "Subject erased": the same for every occurrence, as RFC 9457 asks. */
function titleOf(code: string): string {
  const words = code.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The status that the framework gave its own error. */
function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number')
    return error.name === 'FastifyError' ? error.statusCode : undefined;
  return undefined;
}
