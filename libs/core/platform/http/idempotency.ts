import {
  applyDecorators,
  type CallHandler,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  SetMetadata,
  UseInterceptors,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { from, lastValueFrom, type Observable, of } from 'rxjs';
import { canonicalJson } from '#core/kernel/canonical-json.js';
import { idFrom } from '#core/kernel/ids.js';
import { Refused } from '#core/kernel/refused.js';
import type { Requested } from '#core/kernel/requested.js';
import { failureOf } from '../logging.js';
import { LOGGER } from '../tokens.js';
import { noteHeader } from './documented.js';
import { lastExpected, parseIfMatch } from './preconditions.js';
import { refuseStream } from './json-body.js';
import { RequestRefused, unreadableParameter } from './request-refused.js';

/**
 * Repeating a call safely (draft-ietf-httpapi-idempotency-key-header). What makes a repetition safe is the
 * log itself: receipts are derived from the request, and a stream that holds one is not appended to again.
 * This store adds what the log can not: the first answer word for word, and a no to a second call while the
 * first is under way or with the same key and other contents.
 */
export interface IdempotencyStore {
  /**
   * Takes `key` for a request with this fingerprint.
   * - MUST give a key to one caller only, until its lease of 30 s ends or it is released.
   * - MUST answer `reused` where the key was taken with another fingerprint, also when that call is under way.
   * - MUST forget after 30 days.
   */
  claim(key: Uint8Array, fingerprint: Uint8Array): Promise<Claim>;
  /** Keeps the answer. MUST do nothing where the lease was lost to somebody else. */
  complete(key: Uint8Array, lease: string, response: StoredResponse): Promise<void>;
  /** Gives the key back: the call came to nothing that must be repeated. */
  release(key: Uint8Array, lease: string): Promise<void>;
}

export type Claim =
  | { readonly kind: 'claimed'; readonly lease: string }
  | { readonly kind: 'done'; readonly response: StoredResponse }
  | { readonly kind: 'in-flight' }
  | { readonly kind: 'reused' };

/** The first answer. Holds receipts and ids, never personal data: that is a promise of `@Idempotent` handlers. */
export interface StoredResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export const IDEMPOTENCY_STORE = Symbol('IdempotencyStore');

/** Keyed digests under keys that never change, one for each `use`; the parts can not run into each other. */
export interface Digest {
  digest(use: string, ...parts: readonly string[]): Uint8Array;
}
export const DIGEST = Symbol('Digest');

/** What a receipt is derived from: the same for every repetition, and for no other request. */
export interface InteractionRequest {
  readonly apiKeyId: string;
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  readonly key: string;
}

const IDEMPOTENT = Symbol('idempotent');
interface Idempotency {
  readonly secrets: readonly string[];
}

/**
 * The call takes an `Idempotency-Key`, and must: 400 without. Its answer must hold no personal data. Fields
 * named in `secrets`, wherever they are in the answer, are stored and replayed as null.
 */
export function Idempotent(options: Partial<Idempotency> = {}): MethodDecorator {
  const note: MethodDecorator = (target, property) =>
    noteHeader(target, property, 'Idempotency-Key');
  return applyDecorators(
    SetMetadata(IDEMPOTENT, { secrets: options.secrets ?? [] } satisfies Idempotency),
    UseInterceptors(IdempotencyInterceptor),
    note,
  );
}

/** The handler's parameter that its command derives receipt and ids from. */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext) =>
  interactionOf(context.switchToHttp().getRequest<FastifyRequest>()),
);

const HEADER = 'Idempotency-Key';

/** Headers that belong to an answer's meaning and are repeated with it. */
const KEPT_HEADERS = ['etag', 'location', 'consistency-token'] as const;

@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    @Inject(IDEMPOTENCY_STORE) private readonly store: IdempotencyStore,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp();
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()];
    refuseStream(request.body);
    const { apiKeyId, method, path, key } = interactionOf(request);
    request.asked = this.askedOf(request, { apiKeyId, method, path, key });
    const id = this.digest.digest('idempotency-key', apiKeyId, method, path, key);
    const fingerprint = this.digest.digest(
      'idempotency-fingerprint',
      method,
      request.url,
      request.body === undefined ? '' : canonicalJson(request.body),
    );
    const claim = await this.store.claim(id, fingerprint);
    switch (claim.kind) {
      case 'claimed':
        return from(this.perform(id, claim.lease, context, next, reply));
      case 'done':
        void reply
          .status(claim.response.status)
          .headers(claim.response.headers)
          .header('idempotency-replayed', 'true');
        return of(claim.response.body ?? undefined);
      case 'in-flight':
        throw new Refused(
          'conflict',
          'idempotency-in-flight',
          'A call with this Idempotency-Key is under way; ask again for its answer.',
          // A call takes milliseconds; only one whose process died takes up to the whole lease.
          { evidence: { retryAfter: 1 } },
        );
      case 'reused':
        throw new Refused(
          'invalid',
          'idempotency-key-reused',
          'This Idempotency-Key was used for a call with other contents.',
          {
            violations: [
              {
                parameter: HEADER,
                code: 'idempotency-key-reused',
                detail: 'belongs to a call with other contents',
              },
            ],
          },
        );
    }
  }

  private askedOf(
    request: FastifyRequest,
    { apiKeyId, method, path, key }: InteractionRequest,
  ): Requested {
    const { kind, id } = request.principal ?? { kind: 'system', id: 'public' };
    return {
      actor: { kind, id },
      receiptId: idFrom('rcp', this.digest.digest('receipt', apiKeyId, method, path, key), 8),
      correlationId: request.id,
      ifRevision: lastExpected(parseIfMatch(request.headers['if-match'])),
    };
  }

  private async perform(
    id: Uint8Array,
    lease: string,
    context: ExecutionContext,
    next: CallHandler,
    reply: FastifyReply,
  ): Promise<unknown> {
    let body: unknown;
    try {
      body = await lastValueFrom(next.handle(), { defaultValue: undefined });
    } catch (error) {
      await this.settle(this.store.release(id, lease));
      throw error;
    }
    const { statusCode: status } = reply;
    if (status < 200 || status > 299) {
      await this.settle(this.store.release(id, lease));
      return body;
    }
    const { secrets } = Reflect.getMetadata(IDEMPOTENT, context.getHandler()) as Idempotency;
    const headers: Record<string, string> = {};
    for (const name of KEPT_HEADERS) {
      const value = reply.getHeader(name);
      if (value !== undefined) headers[name] = String(value);
    }
    const kept = secrets.length > 0 ? withoutSecrets(body, secrets) : body;
    // Before the answer goes out, so that whoever has it can have it again.
    await this.settle(this.store.complete(id, lease, { status, headers, body: kept ?? null }));
    return body;
  }

  /**
   * The work is done or refused, whatever became of the store: its answer stands. A retry meanwhile is told to
   * wait until the lease ends and is then answered from the stream.
   */
  private async settle(storing: Promise<void>): Promise<void> {
    try {
      await storing;
    } catch (error) {
      this.logger.warn({ failure: failureOf(error) }, 'idempotency store failed');
    }
  }
}

function interactionOf(request: FastifyRequest): InteractionRequest {
  return {
    apiKeyId: request.principal?.keyId ?? 'public',
    method: request.method,
    path: request.url.split('?', 1)[0] as string,
    key: parseIdempotencyKey(request.headers['idempotency-key']),
  };
}

/** 1 to 255 visible ASCII characters, bare or as the quoted string that the draft asks for; both name the same key. */
export function parseIdempotencyKey(header: string | readonly string[] | undefined): string {
  if (header === undefined)
    throw new RequestRefused(
      'unreadable',
      'idempotency-key-required',
      'This call needs an Idempotency-Key: a random text of your own, the same for every repetition.',
      {
        violations: [
          { parameter: HEADER, code: 'idempotency-key-required', detail: 'is required' },
        ],
      },
    );
  const text = typeof header === 'string' ? header.trim() : '';
  const quoted = /^"((?:[!#-[\]-~]|\\["\\])+)"$/.exec(text)?.[1];
  const key = quoted?.replace(/\\(["\\])/g, '$1') ?? text;
  if ((quoted === undefined && text.startsWith('"')) || !/^[!-~]{1,255}$/.test(key))
    throw unreadableParameter(
      HEADER,
      'idempotency-key-malformed',
      'Idempotency-Key must be 1 to 255 visible ASCII characters.',
    );
  return key;
}

function withoutSecrets(body: unknown, secrets: readonly string[]): unknown {
  return JSON.parse(
    JSON.stringify(body ?? null, (name, value: unknown) => (secrets.includes(name) ? null : value)),
  ) as unknown;
}
