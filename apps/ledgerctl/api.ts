import { randomUUID } from 'node:crypto';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Connection } from './connection.js';

/** What the server said no with (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(
    readonly status: number,
    readonly body: {
      readonly code?: string;
      readonly detail?: string;
      readonly errors?: readonly { readonly pointer?: string; readonly detail?: string }[];
    },
  ) {
    const where = (body.errors ?? []).map(
      ({ pointer = '', detail = '' }) => `\n  ${pointer} ${detail}`,
    );
    super(`${body.code ?? status}: ${body.detail ?? 'refused'}${where.join('')}`);
  }
}

/** One answer, read. */
export interface Answered<T> {
  readonly status: number;
  readonly body: T;
  readonly consistencyToken?: string;
}

/** Calls of the public API. */
export class Api {
  constructor(private readonly connection: Connection) {}

  /** A JSON call. Whatever records something is sent with a key of its own, or the one given. */
  async call<T>(
    method: string,
    path: string,
    body?: unknown,
    options: { readonly idempotencyKey?: string; readonly consistencyToken?: string } = {},
  ): Promise<Answered<T>> {
    const { idempotencyKey = randomUUID(), consistencyToken } = options;
    const response = await fetch(this.connection.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.connection.key}`,
        ...(method === 'GET' ? {} : { 'idempotency-key': idempotencyKey }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(consistencyToken === undefined ? {} : { 'consistency-token': consistencyToken }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    }).catch((error: Error) => {
      const { code = error.message } = (error.cause ?? {}) as { code?: string };
      throw new Error(`${this.connection.url} can not be reached (${code})`);
    });
    const text = await response.text();
    const read = text === '' ? undefined : (JSON.parse(text) as T);
    if (!response.ok) throw new Problem(response.status, (read ?? {}) as Problem['body']);
    const { headers, status } = response;
    return {
      status,
      body: read as T,
      consistencyToken: headers.get('consistency-token') ?? undefined,
    };
  }

  /** Sends a stream, or JSON, and gives the answer's lines as they come. */
  async *lines<T>(method: string, path: string, body: Readable | object): AsyncGenerator<T> {
    const response = await this.answerTo(method, path, body);
    for await (const line of createInterface({ input: response, crlfDelay: Infinity }))
      yield JSON.parse(line) as T;
    if (!response.complete) throw new Error('the connection broke off');
  }

  /** Sends JSON, and gives the answer's bytes as they come. */
  async *bytes(method: string, path: string, body: object): AsyncGenerator<Uint8Array> {
    const response = await this.answerTo(method, path, body);
    for await (const chunk of response) yield chunk as Uint8Array;
    if (!response.complete) throw new Error('the connection broke off');
  }

  private async answerTo(
    method: string,
    path: string,
    body: Readable | object,
  ): Promise<IncomingMessage> {
    const streaming = 'pipe' in body;
    const url = new URL(this.connection.url + path);
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, {
      method,
      headers: {
        authorization: `Bearer ${this.connection.key}`,
        'content-type': streaming ? 'application/x-ndjson' : 'application/json',
      },
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
    });
    // Awaited below; until then it must not count as unhandled.
    answered.catch(() => undefined);
    if (streaming) {
      body.once('error', (error) => request.destroy(error));
      body.pipe(request);
    } else request.end(JSON.stringify(body));
    const response = await answered;
    if (response.statusCode !== 200) {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
      throw new Problem(
        response.statusCode ?? 0,
        text === '' ? {} : (JSON.parse(text) as Problem['body']),
      );
    }
    return response;
  }
}
