import { createHash } from 'node:crypto';
import net from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Counter, type Registry } from 'prom-client';
import { type Budget, Budgets, type DrawTokens, REFILL_SECONDS, type Verdict } from '../budgets.js';
import { RequestRefused } from './request-refused.js';

/** Calls a minute; 0: as many as come. */
export interface LimitSettings {
  /** Of one API key. */
  readonly perKey: number;
  /** Of one address, to what anybody may call. */
  readonly public: number;
  /** Of one address, with credentials that open nothing. */
  readonly failed: number;
}

type Limit = keyof LimitSettings;

/**
 * How often who may call, over all servers together. A call counts as one, whatever it asks for: a stream of a million
 * lines is slowed by its own reader, not by this.
 */
export class CallLimits {
  private readonly budgets: Budgets;
  private readonly refusals: Counter<'limit'>;
  /** Digests of secrets that opened something here: they are no guesses, also where others of their address guess. */
  private readonly admitted = new Map<string, string>();
  /** Milliseconds of the monotonic clock: until then some address has used up its failures. */
  private guessedUntil = -Infinity;

  constructor(
    private readonly settings: LimitSettings,
    draw: DrawTokens,
    registry: Registry,
  ) {
    this.budgets = new Budgets(draw);
    this.refusals = new Counter({
      name: 'ledger_http_limited_total',
      help: 'Calls that were refused because their caller calls too often.',
      labelNames: ['limit'],
      registers: [registry],
    });
  }

  /** Throws RequestRefused, at once or in a promise where another process has to be asked. */
  ofKey(keyId: string, reply: FastifyReply): void | Promise<void> {
    return this.count('perKey', keyId, reply);
  }

  /** The same for a route that anybody may call. */
  ofPublic(request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    return this.count('public', addressOf(request), reply);
  }

  /** Counts credentials that opened nothing. */
  ofFailed(request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    return this.count('failed', addressOf(request), reply);
  }

  /**
   * Refuses to even look at a credential where too many of its address opened nothing, unless it is known to open
   * something. Else guessing would be slowed by nothing: who guesses right is not told apart from who always knew.
   */
  beforeLooking(secret: string, request: FastifyRequest, reply: FastifyReply): void {
    if (performance.now() > this.guessedUntil) return;
    const budget = this.budgetOf('failed', addressOf(request));
    const empty = budget && this.budgets.isEmpty(budget);
    if (empty && ![...this.admitted.values()].includes(digestOf(secret)))
      this.settle('failed', empty, reply);
  }

  opened(keyId: string, secret: string): void {
    if (this.settings.failed > 0 && !this.admitted.has(keyId))
      this.admitted.set(keyId, digestOf(secret));
  }

  private count(limit: Limit, who: string, reply: FastifyReply): void | Promise<void> {
    const budget = this.budgetOf(limit, who);
    if (budget === undefined) return;
    const verdict = this.budgets.take(budget);
    if (verdict instanceof Promise)
      return verdict.then((settled) => this.settle(limit, settled, reply));
    this.settle(limit, verdict, reply);
  }

  private budgetOf(limit: Limit, who: string): Budget | undefined {
    const calls = this.settings[limit];
    return calls === 0 ? undefined : { name: `${limit} ${who}`, calls };
  }

  private settle(limit: Limit, { admitted, left, waitMs }: Verdict, reply: FastifyReply): void {
    const calls = this.settings[limit];
    // Who is far from the limit need not think of it, and nobody has to write that.
    if (admitted && left > calls / 2) return;
    const full = Math.ceil(((calls - left) * REFILL_SECONDS) / calls);
    const headers = {
      'ratelimit-policy': `"${limit}";q=${calls};w=${REFILL_SECONDS}`,
      ratelimit: `"${limit}";r=${left};t=${full}`,
    };
    if (admitted) return void reply.headers(headers);
    if (limit === 'failed')
      this.guessedUntil = Math.max(this.guessedUntil, performance.now() + waitMs);
    this.refusals.inc({ limit });
    throw new RequestRefused('too-many', 'too-many-requests', DETAIL[limit], {
      headers: { ...headers, 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1_000))) },
    });
  }
}

const DETAIL: Readonly<Record<Limit, string>> = {
  perKey: 'This API key calls more often than it may; see Retry-After.',
  public: 'There are more calls from this address than it may make; see Retry-After.',
  failed: 'Too many credentials from this address opened nothing; see Retry-After.',
};

/** A customer is one caller: of IPv6 it is the first 64 bits that differ from one to the next. */
function addressOf({ ip }: FastifyRequest): string {
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip;
  if (!net.isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('%', 1)[0]!.split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing =
    tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length;
  const all = [...groups, ...Array<string>(missing).fill('0'), ...(tail ?? '').split(':')];
  return `${all
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}
