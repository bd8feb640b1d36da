import { Metadata, type ServerErrorResponse, status } from '@grpc/grpc-js';

/** How the server refuses, as the client reads it: a status, and in the trailers the name of the reason. */
export class Refusal extends Error implements Partial<ServerErrorResponse> {
  override readonly name = 'Refusal';
  readonly details: string;
  readonly metadata = new Metadata();

  constructor(
    readonly code: status,
    details: string,
    trailers: Readonly<Record<string, string>> = {},
  ) {
    super(details);
    this.details = details;
    for (const [key, value] of Object.entries(trailers)) this.metadata.set(key, value);
  }
}

export function serverBusy(): Refusal {
  return new Refusal(status.UNAVAILABLE, 'Server Is Too Busy');
}

/** What the client's own library says where the connection was lost while the server was at work. */
export function connectionLost(): Refusal {
  return new Refusal(status.UNAVAILABLE, 'Connection dropped');
}

/** What the server says where too few nodes confirmed in time: it may yet be committed. */
export function commitTimeout(): Refusal {
  return new Refusal(status.ABORTED, 'Operation timed out: Commit phase timeout.');
}

export function notLeader(leader: { readonly address: string; readonly port: number }): Refusal {
  return new Refusal(status.NOT_FOUND, 'Leader info available', {
    exception: 'not-leader',
    'leader-endpoint-host': leader.address,
    'leader-endpoint-port': String(leader.port),
  });
}

export function accessDenied(): Refusal {
  return new Refusal(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' });
}

export function notAuthenticated(): Refusal {
  return new Refusal(status.UNAUTHENTICATED, 'Bad credentials');
}

export function invalidArgument(details: string): Refusal {
  return new Refusal(status.INVALID_ARGUMENT, details);
}

export function appendTooLarge(limit: number): Refusal {
  return new Refusal(status.INVALID_ARGUMENT, `Maximum Append Size of ${limit} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(limit),
  });
}
