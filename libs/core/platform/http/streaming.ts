import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parsePosition, type Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { documented } from './documented.js';
import { NDJSON } from './ndjson.js';
import { RequestRefused, unreadableParameter } from './request-refused.js';

/**
 * Answers of any length. Handlers take `@Res() reply` and return one of these promises. What is not taken by
 * the client stays with the source (back-pressure); when the client goes, the source's signal aborts.
 */

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when the process is about to stop. */
    readonly draining: AbortSignal;
  }
}

/** One answer's worth of items at a time: what is yielded together is written together. */
export type Batches<T> = AsyncIterable<T | readonly T[]>;

/**
 * Makes the source; what it throws before its first item is answered as a problem. The source MUST end, or
 * throw, soon after the signal aborts.
 */
export type Source<T> = (signal: AbortSignal) => Batches<T> | Promise<Batches<T>>;

/** Milliseconds after which a client that takes nothing is given up. */
const STALLED = 60_000;
/** Milliseconds for what comes next in an answer that has begun, while its caller takes what there is. */
const STEP = 60_000;
/** Milliseconds between signs of life on a stream of events. */
const PING = 15_000;
/** Milliseconds for which a stream of events may outlive its key. */
const READMISSION = 5_000;

/**
 * Newline-delimited JSON out. A string or bytes are written as they are and must end with a line feed; anything
 * else is one line of JSON. An error after the first line breaks the connection, so that a stream that does
 * not end well is never taken for a whole one.
 */
export async function sendNdjson(
  reply: FastifyReply,
  source: Source<object | string | Uint8Array>,
): Promise<void> {
  await send(reply, source, {
    headers: { 'content-type': NDJSON },
    text: (item) =>
      typeof item === 'string' || item instanceof Uint8Array ? item : `${JSON.stringify(item)}\n`,
  });
}

/**
 * A file of any length, written as it is made. Breaks the connection off where its source fails midway, so that
 * half of it is not taken for the whole.
 */
export async function sendFile(
  reply: FastifyReply,
  { type, name }: { readonly type: string; readonly name: string },
  source: Source<Uint8Array>,
): Promise<void> {
  await send(reply, source, {
    headers: { 'content-type': type, 'content-disposition': `attachment; filename="${name}"` },
    text: (bytes) => bytes,
  });
}

/** One event of a stream of events. `id` comes back as `Last-Event-ID` when the client reconnects. */
export interface ServerEvent {
  readonly id?: string;
  readonly event?: string;
  /** Sent as JSON in one line. */
  readonly data: unknown;
}

/**
 * Server-sent events. Goes on until the source ends, the client goes, its key ends or the process stops; a
 * comment every 15 s keeps proxies from closing it. The answer begins at once, before there is an event.
 */
export async function sendEvents(reply: FastifyReply, source: Source<ServerEvent>): Promise<void> {
  await send(reply, source, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' },
    text: ({ id, event, data }) =>
      `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`,
    open: ': open\n\n',
    ping: ': ping\n\n',
    endless: true,
  });
}

/** The handler's parameter for where a stream of events goes on: the position in `Last-Event-ID`. */
export const LastEventId = documented(
  'Last-Event-ID',
  createParamDecorator((_: unknown, context: ExecutionContext): Position | undefined => {
    const { 'last-event-id': header } = context.switchToHttp().getRequest<FastifyRequest>().headers;
    if (header === undefined || header === '') return undefined;
    const position = typeof header === 'string' ? parsePosition(header) : undefined;
    if (position !== undefined) return position;
    throw unreadableParameter(
      'Last-Event-ID',
      'last-event-id-malformed',
      'Last-Event-ID must be the id of an event of this stream.',
    );
  }),
);

interface Format<T> {
  readonly headers: Readonly<Record<string, string>>;
  readonly text: (item: T) => string | Uint8Array;
  readonly open?: string;
  readonly ping?: string;
  /** Without an end of its own: ends when the process is about to stop. */
  readonly endless?: boolean;
}

async function send<T>(reply: FastifyReply, source: Source<T>, format: Format<T>): Promise<void> {
  const { raw } = reply;
  const { draining } = reply.server;
  if (format.endless && draining.aborted)
    throw new Refused('unavailable', 'stopping', 'This process is about to stop; connect again.');
  const gone = new AbortController();
  const leave = () => gone.abort();
  raw.once('close', leave);
  if (format.endless) draining.addEventListener('abort', leave, { once: true });
  if (raw.destroyed) leave();
  let ping: NodeJS.Timeout | undefined;
  let readmission: NodeJS.Timeout | undefined;
  let iterator: AsyncIterator<T | readonly T[]> | undefined;
  try {
    iterator = (await source(gone.signal))[Symbol.asyncIterator]();
    // A source that fails at once still gets a problem for an answer; an endless one may have nothing to say yet.
    let next = format.endless ? undefined : await iterator.next();
    // It came too late: the call has another answer.
    if (gone.signal.aborted || raw.headersSent) return;
    begin(reply, format);
    if (format.ping !== undefined) {
      const text = format.ping;
      ping = setInterval(() => raw.writableNeedDrain || raw.write(text), PING);
    }
    const { stillAdmitted } = reply.request;
    // Who can not be told to be admitted is not: connecting again costs little, and is answered with the reason.
    if (format.endless && stillAdmitted)
      readmission = setInterval(
        () => void stillAdmitted().then((admitted) => admitted || leave(), leave),
        READMISSION,
      );
    const following = () => nextOf(iterator as AsyncIterator<T | readonly T[]>, reply, format);
    for (next ??= await following(); !next.done; next = await following()) {
      if (gone.signal.aborted) break;
      await write(raw, next.value, format, gone.signal);
    }
    raw.end();
  } catch (error) {
    // The client is gone, or the source has ended because it was told to: there is nobody to tell.
    if (!gone.signal.aborted && !raw.destroyed && !raw.socket?.destroyed) throw error;
    raw.end();
  } finally {
    clearInterval(ping);
    clearInterval(readmission);
    raw.off('close', leave);
    draining.removeEventListener('abort', leave);
    leave();
    await iterator?.return?.()?.then(undefined, () => undefined);
  }
}

function begin<T>(reply: FastifyReply, { headers, open }: Format<T>): void {
  // From here on the answer is ours: the framework must not send one of its own.
  reply.hijack();
  const set = reply.getHeaders() as Record<string, string | number | string[]>;
  reply.raw.writeHead(reply.statusCode, { ...set, ...headers });
  if (open === undefined) reply.raw.flushHeaders();
  else reply.raw.write(open);
}

/** Breaks the answer off where it takes too long, unless the caller is waited for. */
async function nextOf<T>(
  iterator: AsyncIterator<T>,
  { raw, request }: FastifyReply,
  { endless }: { readonly endless?: boolean },
): Promise<IteratorResult<T>> {
  if (endless) return iterator.next();
  const clock = setInterval(() => request.awaitsCaller || raw.destroy(), STEP);
  try {
    return await iterator.next();
  } finally {
    clearInterval(clock);
  }
}

async function write<T>(
  raw: ServerResponse,
  item: T | readonly T[],
  { text }: Format<T>,
  signal: AbortSignal,
): Promise<void> {
  if (!Array.isArray(item)) {
    if (!raw.write(text(item as T))) await drained(raw, signal);
    return;
  }
  let joined = '';
  for (const one of item as readonly T[]) {
    const piece = text(one);
    if (typeof piece === 'string') joined += piece;
    else {
      if (joined !== '') raw.write(joined);
      joined = '';
      raw.write(piece);
    }
  }
  if (joined !== '') raw.write(joined);
  if (raw.writableNeedDrain) await drained(raw, signal);
}

/** The client takes more again. Rejects when it is gone, or has taken nothing for a minute. */
async function drained(raw: ServerResponse, signal: AbortSignal): Promise<void> {
  const timer = setTimeout(() => raw.destroy(), STALLED);
  try {
    await once(raw, 'drain', { signal });
  } finally {
    clearTimeout(timer);
  }
}

/** The lines of a request's NDJSON body. Refuses a body of another kind. */
export function ndjsonOf(request: FastifyRequest): AsyncIterable<Uint8Array> {
  const body: unknown = request.body;
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
    return awaited(request, body as AsyncIterable<Uint8Array>);
  throw new RequestRefused(
    'unsupported-media-type',
    'unsupported-media-type',
    `The body must be ${NDJSON} in UTF-8.`,
  );
}

/** Tells whoever looks after deadlines while the caller is waited for. */
async function* awaited(
  request: FastifyRequest,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  request.awaitsCaller = true;
  for await (const chunk of body) {
    request.awaitsCaller = false;
    yield chunk;
    request.awaitsCaller = true;
  }
  request.awaitsCaller = false;
}
