import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refused } from '#core/kernel/refused.js';
import type { CallLimits } from './call-limits.js';
import { RequestRefused } from './request-refused.js';
import { routeOf, WATCHED } from './server.js';
import type { Scope } from '#core/kernel/scopes.js';

/** Who is signed in. Holds ids only: no name, no address, no secret. */
export interface Principal {
  readonly kind: 'service' | 'officer' | 'system';
  readonly id: string;
  readonly scopes: ReadonlySet<Scope>;
  /** The API key or session that was used; part of what receipts are derived from. */
  readonly keyId: string;
}

/** Tells who a bearer credential belongs to. */
export interface Authenticator {
  /**
   * Undefined for a secret that is unknown, expired or revoked: the caller is told no more than that.
   * MUST compare secrets in constant time or by their hash. MUST throw where it can not know now.
   */
  authenticate(secret: string): Promise<Principal | undefined>;
}

/** The provider's token: `{ provide: AUTHENTICATOR, useExisting: ... }`, in a module that exports it. */
export const AUTHENTICATOR = Symbol('Authenticator');

/** What a route asks of its caller. */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'scopes'; readonly anyOf: readonly [Scope, ...Scope[]] };

const ACCESS = Symbol('access');

/** The caller needs this scope. With several: one of them is enough. */
export function Requires(...anyOf: readonly [Scope, ...Scope[]]) {
  return SetMetadata(ACCESS, { kind: 'scopes', anyOf } satisfies Access);
}

/** Anybody may call this. */
export function Public() {
  return SetMetadata(ACCESS, { kind: 'public' } satisfies Access);
}

/** What was declared on the handler, or else on its controller; undefined where neither says. */
export function accessOf(handler: object, controller: object): Access | undefined {
  return (Reflect.getMetadata(ACCESS, handler) ?? Reflect.getMetadata(ACCESS, controller)) as
    Access | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    principal?: Principal;
    /** Whether the credential still opens anything: long answers outlive keys. Rejects where it can not be known now. */
    stillAdmitted?: () => Promise<boolean>;
  }
}

/** The handler's parameter that tells who calls. Only on routes that are not public. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!principal) throw new Error('a public route has no principal');
  return principal;
});

/** Refuses a caller without the scope. For rights that depend on the body; a route's own is `@Requires`. */
export function requireScope(principal: Principal, ...anyOf: readonly [Scope, ...Scope[]]): void {
  if (anyOf.some((scope) => principal.scopes.has(scope))) return;
  throw new Refused(
    'forbidden',
    'scope-missing',
    `This call needs the scope ${anyOf.join(' or ')}.`,
    {
      evidence: { scope: anyOf.join(' ') },
    },
  );
}

/** RFC 6750, section 2.1; longer than any key or token of ours needs to be is malformed too. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,4096}=*) *$/i;

/** Lets nobody through whom the route does not name. Global. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly limits?: CallLimits,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const access = accessOf(context.getHandler(), context.getClass());
    // The application does not start with such a route; should one come in otherwise, it stays shut.
    if (!access) throw new Refused('forbidden', 'forbidden', 'This call is not open to anybody.');
    const http = context.switchToHttp();
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()];
    if (access.kind === 'scopes') return this.admit(request, reply, access.anyOf);
    if (WATCHED.has(routeOf(request))) return true;
    const counted = this.limits?.ofPublic(request, reply);
    return counted === undefined || counted.then(() => true);
  }

  private async admit(
    request: FastifyRequest,
    reply: FastifyReply,
    anyOf: readonly [Scope, ...Scope[]],
  ): Promise<boolean> {
    const { limits } = this;
    let secret: string;
    let principal: Principal;
    try {
      secret = secretOf(request.headers.authorization);
      limits?.beforeLooking(secret, request, reply);
      principal = (await this.authenticator.authenticate(secret)) ?? opensNothing();
    } catch (error) {
      if (error instanceof RequestRefused && error.kind === 'unauthenticated')
        await limits?.ofFailed(request, reply);
      throw error;
    }
    limits?.opened(principal.keyId, secret);
    // Without a turn of the event loop where the process knows it by itself.
    const counted = limits?.ofKey(principal.keyId, reply);
    if (counted) await counted;
    request.principal = principal;
    request.stillAdmitted = async () =>
      (await this.authenticator.authenticate(secret)) !== undefined;
    requireScope(principal, ...anyOf);
    return true;
  }
}

function opensNothing(): never {
  throw unauthenticated(
    'credentials-invalid',
    'The credentials are unknown, expired or revoked.',
    'invalid_token',
  );
}

function secretOf(header: string | undefined): string {
  if (header === undefined)
    throw unauthenticated('credentials-missing', 'This call needs an Authorization header.');
  const secret = BEARER.exec(header)?.[1];
  if (secret === undefined)
    throw unauthenticated(
      'credentials-malformed',
      'The Authorization header must read: Bearer, a space, the key.',
      'invalid_request',
    );
  return secret;
}

function unauthenticated(code: string, detail: string, error?: string): RequestRefused {
  const challenge = `Bearer realm="consent-ledger"${error ? `, error="${error}"` : ''}`;
  return new RequestRefused('unauthenticated', code, detail, {
    headers: { 'www-authenticate': challenge },
  });
}
