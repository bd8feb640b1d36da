import type { Metadata } from '@grpc/grpc-js';
import { accessDenied, notAuthenticated } from './failures.js';

export interface User {
  readonly name: string;
  readonly password: string;
  /** Whether the user may read `$all` and the server's own streams. */
  readonly admin: boolean;
}

/**
 * Lets a call pass as a secure server does: wrong credentials are refused, none are enough for nothing, and what begins
 * with a `$`, `$all` too, is for administrators.
 */
export function authorize(
  users: readonly User[],
  metadata: Metadata,
  ...streams: readonly string[]
): void {
  const user = signedIn(users, metadata);
  if (!user) throw accessDenied();
  if (!user.admin && streams.some((stream) => stream.startsWith('$'))) throw accessDenied();
}

function signedIn(users: readonly User[], metadata: Metadata): User | undefined {
  const given = metadata.get('authorization')[0]?.toString();
  if (given === undefined) return undefined;
  const [name, password] = Buffer.from(given.replace(/^Basic /, ''), 'base64')
    .toString('utf8')
    .split(':');
  const user = users.find((one) => one.name === name && one.password === password);
  if (!user) throw notAuthenticated();
  return user;
}
