import { convertToCommandError, ErrorType } from '@eventstore/db-client';

/** A call that did not end by itself. Whatever it asked for may have been done. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
  constructor(readonly milliseconds: number) {
    super(`no answer within ${milliseconds} ms`);
  }
}

/** A read ended as if it were complete, and was not. */
export class CutShort extends Error {
  override readonly name = 'CutShort';
  constructor() {
    super('the answer ended before it was complete');
  }
}

/** The server is older than what the ledger stands on. */
export class ServerTooOld extends Error {
  override readonly name = 'ServerTooOld';
  constructor(
    readonly version: string | undefined,
    readonly oldest: string,
  ) {
    super(`the KurrentDB server has version ${version ?? 'unknown'}, ${oldest} or newer is needed`);
  }
}

/** The server could not be asked what it is: the call itself was not made. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
  constructor(override readonly cause: unknown) {
    super(reasonOf(cause));
  }
}

/** What a failed call says of what it asked for. */
export type Failure =
  /** The stream is not at the revision that was given: nothing was written. */
  | 'conflict'
  /** It was certainly not done, and can be later: no connection, another leader, too busy. */
  | 'unavailable'
  /** The answer was lost: it may have been done. */
  | 'lost'
  /** It was not done and will not be: who asks, or what is asked for, would have to change. */
  | 'refused';

/** What the server says before it does anything, and the connection that another call's failure has closed. */
const NOT_BEGUN =
  /^(14 UNAVAILABLE: (No connection established|Server Is Not Ready|Server Is Too Busy)|Channel has been shut down)/;
/** What the client says when none of the nodes it knows answers. */
const NOT_FOUND = /^Failed to discover after/;

export function failureOf(error: unknown): Failure {
  if (error instanceof NotConnected)
    return error.cause instanceof ServerTooOld ? 'refused' : 'unavailable';
  if (error instanceof TimedOut || error instanceof CutShort) return 'lost';
  // A fault of ours, from neither the client nor the server.
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError)
    return 'refused';
  const { message } = error;
  if (isInvalidPosition(error)) return 'refused';
  if (NOT_BEGUN.test(message) || NOT_FOUND.test(message)) return 'unavailable';
  const type = typeOf(error);
  if (type === ErrorType.WRONG_EXPECTED_VERSION) return 'conflict';
  if (type === ErrorType.NOT_LEADER) return 'unavailable';
  const isRefused = type !== undefined && REFUSED.includes(type);
  return isRefused || (error as { code?: unknown }).code === INVALID_ARGUMENT ? 'refused' : 'lost';
}

const REFUSED: readonly ErrorType[] = [
  ErrorType.ACCESS_DENIED,
  ErrorType.INVALID_ARGUMENT,
  ErrorType.INVALID_TRANSACTION,
  ErrorType.STREAM_DELETED,
  ErrorType.MAXIMUM_APPEND_SIZE_EXCEEDED,
  ErrorType.MISSING_REQUIRED_METADATA_PROPERTY,
  ErrorType.UNSUPPORTED,
];

/** gRPC's own number; the server uses it without a name of the client for it. */
const INVALID_ARGUMENT = 3;
/** The same of a deadline that has passed. */
const LATE = 4;

/** Whether a call had no answer, or not all of it, when its time was over. */
export function isLate(error: unknown): boolean {
  return error instanceof TimedOut || (error as { code?: unknown } | undefined)?.code === LATE;
}

/** Whether the server says that no record begins at the position to read from. */
export function isInvalidPosition(error: unknown): boolean {
  return error instanceof Error && /invalid ?position/i.test(error.message);
}

/** What to say of a failure to people: what happened, never a value. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const type = typeOf(error);
  if (type === ErrorType.ACCESS_DENIED)
    return 'the KurrentDB server does not let this user do it, or does not know user and password';
  const why = whyNotConnected(error);
  if (why !== undefined) return `the KurrentDB server can not be reached: ${why}`;
  return type ?? (error.message || error.name);
}

/** What gRPC says of a connection that was not established: a certificate, a refusal, a name that is none. */
function whyNotConnected({ message }: Error): string | undefined {
  const [, last] = /Last error: (?:Error: )?(.*?)\.?\s*Resolution note/s.exec(message) ?? [];
  const [, ssl] = /:SSL routines:[^:]*:([^:]+):/.exec(last ?? '') ?? [];
  return ssl ?? last ?? /Name resolution failed for target \S+/.exec(message)?.[0];
}

function typeOf(error: Error): ErrorType | undefined {
  return (convertToCommandError(error) as { type?: ErrorType } | undefined)?.type;
}
