import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import supertest from 'supertest';
import type { Position } from '#core/kernel/position.js';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { type Server, startServer } from '../../apps/server/server.js';
import type { Receipt } from './answers.js';
import { freshDatabase } from './database.js';

// Real servers on a machine that others use as well.
jest.setTimeout(30_000);

export type Method = 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a call says beside its path and body. */
export interface Call {
  /** The API key; null: no Authorization header. Absent: the key that opens everything. */
  readonly key?: string | null;
  /** Null: no header. Absent: a fresh one for calls that may record something. */
  readonly idempotencyKey?: string | null;
  readonly ifMatch?: string | number;
  /** An earlier answer: this call sees what that one recorded. */
  readonly after?: Reply<unknown>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply<Body> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
  readonly text: string;
}

export type Fields = Record<string, unknown>;

/** The server as a caller sees it: JSON in and out over a real connection. */
export class Api {
  constructor(
    private readonly url: string,
    private readonly key: string,
  ) {}

  get<Body = Fields>(path: string, call?: Call): Promise<Reply<Body>> {
    return this.send('GET', path, undefined, call);
  }

  post<Body = Fields>(path: string, body?: object, call?: Call): Promise<Reply<Body>> {
    return this.send('POST', path, body, call);
  }

  put<Body = Fields>(path: string, body?: object, call?: Call): Promise<Reply<Body>> {
    return this.send('PUT', path, body, call);
  }

  patch<Body = Fields>(path: string, body?: object, call?: Call): Promise<Reply<Body>> {
    return this.send('PATCH', path, body, call);
  }

  delete<Body = Fields>(path: string, call?: Call): Promise<Reply<Body>> {
    return this.send('DELETE', path, undefined, call);
  }

  /** A body that is bytes or text is sent as it is. */
  async send<Body = Fields>(
    method: Method,
    path: string,
    body?: object | string,
    call: Call = {},
  ): Promise<Reply<Body>> {
    const agent = supertest(this.url);
    const verb = method.toLowerCase() as
      'get' | 'head' | 'options' | 'post' | 'put' | 'patch' | 'delete';
    const request = agent[verb](path).buffer(true).parse(asText).set(this.headersOf(method, call));
    if (body !== undefined) {
      const json = typeof body === 'object' && !Buffer.isBuffer(body);
      if (!hasContentType(call)) void request.set('content-type', 'application/json');
      // supertest would put a Buffer into JSON of its own.
      void request.serialize((given: unknown) => given as string);
      void request.send(json ? JSON.stringify(body) : body);
    }
    const { status, headers, body: text } = await request;
    return { status, headers: headers as Record<string, string>, ...read<Body>(text, headers) };
  }

  /** Lines in, lines out; a line that is no text is sent as JSON. */
  async lines<Line = Fields>(
    path: string,
    body: string | Uint8Array | readonly object[],
    call: Call = {},
  ): Promise<Reply<Line[]>> {
    const bytes =
      typeof body === 'string' || body instanceof Uint8Array
        ? Buffer.from(body)
        : Buffer.from(body.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const headers = { 'content-type': 'application/x-ndjson', ...call.headers };
    return this.send<Line[]>('POST', path, bytes, { ...call, headers });
  }

  /** Lines that are recorded; sent again where the stream was broken off, as an importer does: what is recorded is known. */
  async imported<Line = Fields>(lines: readonly object[]): Promise<Reply<Line[]>> {
    const send = () => this.lines<Line>('/v1/interactions/bulk', lines);
    return send().catch((error: Error) => {
      if (error.message !== 'aborted') throw error;
      process.stderr.write('the import was broken off, and is sent again\n');
      return send();
    });
  }

  private headersOf(method: Method, call: Call): Record<string, string> {
    const { key = this.key, idempotencyKey, ifMatch, after } = call;
    const records = !['GET', 'HEAD', 'OPTIONS'].includes(method);
    const idempotency = idempotencyKey === undefined && records ? randomUUID() : idempotencyKey;
    const token = after?.headers['consistency-token'];
    return {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(idempotency ? { 'idempotency-key': idempotency } : {}),
      ...(ifMatch === undefined
        ? {}
        : { 'if-match': typeof ifMatch === 'number' ? `"${ifMatch}"` : ifMatch }),
      ...(token === undefined ? {} : { 'consistency-token': token }),
      ...call.headers,
    };
  }
}

function hasContentType({ headers = {} }: Call): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
}

/** superagent calls its parsers with the stream; its types say that they get an answer. */
function asText(answer: object, done: (error: Error | null, body: string) => void): void {
  const stream = answer as NodeJS.ReadableStream;
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => done(null, Buffer.concat(chunks).toString('utf8')));
  stream.on('error', (error) => done(error, ''));
}

function read<Body>(text: unknown, headers: unknown): { body: Body; text: string } {
  const all = typeof text === 'string' ? text : '';
  const type = String((headers as Fields)['content-type'] ?? '');
  if (all !== '' && /[/+]json\b/.test(type)) return { body: JSON.parse(all) as Body, text: all };
  if (type.includes('ndjson'))
    return {
      body: all
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as unknown) as Body,
      text: all,
    };
  return { body: undefined as Body, text: all };
}

/** A ledger that runs: the real server on a database and in a data directory of its own. */
export interface RunningLedger {
  readonly url: string;
  readonly api: Api;
  /** The key that opens everything. */
  readonly key: string;
  readonly runtime: Runtime;
  readonly nest: NestFastifyApplication;
  /** Where the log ends now. */
  head(): Promise<Position>;
  /** The receipt once everything that serves decisions and subjects has passed it. */
  visible(receiptId: string): Promise<Receipt>;
  /** A new key with these scopes and no others. */
  keyWith(...scopes: readonly string[]): Promise<string>;
  keyOfRole(role: string): Promise<string>;
  /** Another process over the same stores; stop it before this one. */
  another(environment?: Readonly<Record<string, string>>): Promise<Another>;
  stop(): Promise<void>;
}

export interface Another {
  readonly api: Api;
  stop(): Promise<void>;
}

export async function startLedger(
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningLedger> {
  const database = await freshDatabase();
  const directory = await mkdtemp(join(tmpdir(), 'consent-ledger-journey-'));
  const variables = {
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'silent',
    DATABASE_URL: database.url,
    LEDGER_DATA_DIR: directory,
    LEDGER_BOOTSTRAP_KEY: `clk_${randomUUID().replaceAll('-', '')}`,
    // A spec is one address, and calls as often as all of a town's.
    LEDGER_LIMIT_PUBLIC: '0',
    LEDGER_LIMIT_FAILED: '0',
    ...environment,
  };
  const config = readConfig(variables);
  const cleanUp = async () => {
    await database.drop();
    await rm(directory, { recursive: true, force: true });
  };
  let server: Server;
  try {
    server = await startServer(config, openLog(config.logLevel));
  } catch (error) {
    await cleanUp();
    throw error;
  }
  const { key = '', nest, runtime, url = '' } = server;
  const api = new Api(url, key);
  const issue = async (asked: object): Promise<string> => {
    const issued = await api.post<{ secret: string }>('/v1/api-keys', asked);
    if (issued.status !== 201) throw new Error(`no key: ${issued.text}`);
    return issued.body.secret;
  };
  return {
    url,
    api,
    key,
    runtime,
    nest,
    head: async () => (await runtime.ledger.head())?.position ?? ('0' as Position),
    visible: async (receiptId) => {
      for (const until = Date.now() + 5_000; ; await sleep(10)) {
        const { body, text } = await api.get<Receipt>(`/v1/receipts/${receiptId}`);
        if (body.visible) return body;
        if (Date.now() > until) throw new Error(`not visible: ${text}`);
      }
    },
    keyWith: (...scopes) => issue({ scopes }),
    keyOfRole: (role) =>
      issue({ role, expiresAt: new Date(Date.now() + 86_400_000).toISOString() }),
    another: async (more = {}) => {
      const other = readConfig({ ...variables, ...more });
      const { url: at = '', stop } = await startServer(other, openLog(other.logLevel));
      return { api: new Api(at, key), stop };
    },
    stop: async () => {
      await server.stop();
      await cleanUp();
    },
  };
}
