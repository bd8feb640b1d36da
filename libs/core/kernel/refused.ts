/**
 * The taxonomy of an expected no. `kind` says what the caller can do about it; the problem filter alone
 * turns it into an HTTP status.
 *
 * - invalid: read, but not acceptable; correct the input
 * - not-found: there is no such thing
 * - conflict: it contradicts what is recorded
 * - gone: the person was erased
 * - precondition: the caller's expected revision is not the present one
 * - forbidden: the caller lacks a right
 * - unavailable: try again later, nothing is known to be wrong with the input
 */
export type RefusalKind =
  'invalid' | 'not-found' | 'conflict' | 'gone' | 'precondition' | 'forbidden' | 'unavailable';

/** One violation. `pointer` is a JSON Pointer into the body (RFC 6901), `parameter` a query or header name. */
export interface Violation {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly code: string;
  readonly detail: string;
}

/** Facts that help to act on a refusal; never personal data. */
export type Evidence = Readonly<Record<string, string | number | boolean | undefined>>;

/** A move that is not allowed, with a stable code and its evidence. Never carries personal data. */
export class Refused extends Error {
  override readonly name = 'Refused';
  constructor(
    readonly kind: RefusalKind,
    readonly code: string,
    readonly detail: string,
    readonly more: {
      readonly violations?: readonly Violation[];
      readonly evidence?: Evidence;
    } = {},
  ) {
    super(`${code}: ${detail}`);
  }
}

/** Input that was read but is not acceptable; all violations at once. */
export function invalid(...violations: readonly [Violation, ...Violation[]]): Refused {
  const [first] = violations;
  return new Refused('invalid', first.code, first.detail, { violations });
}
