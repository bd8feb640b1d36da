import type { Instant } from '#core/kernel/instant.js';
import { invalid, Refused, type Violation } from '#core/kernel/refused.js';
import type { Role, Scope } from './access.events.js';
import { SCOPES_OF } from './access.js';

/** What is asked of a new key: a role, or scopes, or some of a role's scopes. */
export interface KeyRequest {
  readonly role?: Role;
  readonly scopes?: readonly Scope[];
  readonly expiresAt?: Instant;
}

/**
 * The scopes of a key that `issuer` may give away, or a refusal: everything wrong with the request at once,
 * and `scope-missing` where the issuer would give more than they have.
 */
export function scopesFor(
  request: KeyRequest,
  issuer: ReadonlySet<Scope>,
  now: Instant,
): readonly Scope[] {
  const [first, ...more] = violationsOf(request, now);
  if (first) throw invalid(first, ...more);
  const scopes = [...new Set(request.scopes ?? (request.role ? SCOPES_OF[request.role] : []))];
  const lacking = scopes.filter((scope) => !issuer.has(scope));
  if (lacking.length > 0)
    throw new Refused(
      'forbidden',
      'scope-missing',
      'nobody can issue a key with scopes that they lack',
      { evidence: { scope: lacking.join(' ') } },
    );
  return scopes;
}

function violationsOf({ role, scopes, expiresAt }: KeyRequest, now: Instant): Violation[] {
  const found: Violation[] = [];
  if (!role && !scopes)
    found.push({
      pointer: '',
      code: 'required',
      detail: 'one of these fields is required: role, scopes',
    });
  if (role)
    (scopes ?? []).forEach((scope, index) => {
      if (!SCOPES_OF[role].includes(scope))
        found.push({
          pointer: `/scopes/${index}`,
          code: 'scope-not-of-role',
          detail: `the role ${role} has ${SCOPES_OF[role].join(', ')}`,
        });
    });
  if (role === 'auditor' && expiresAt === undefined)
    found.push({
      pointer: '/expiresAt',
      code: 'required',
      detail: 'is required: the access of an auditor always ends',
    });
  if (expiresAt !== undefined && expiresAt <= now)
    found.push({ pointer: '/expiresAt', code: 'in-the-past', detail: 'must lie in the future' });
  return found;
}
