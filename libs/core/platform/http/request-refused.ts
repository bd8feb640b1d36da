import type { Violation } from '#core/kernel/refused.js';

/**
 * Why the edge refused a request before any use case saw it. As with `Refused`, the filter alone turns a
 * kind into an HTTP status.
 *
 * - unreadable: can not be read at all; the body, a parameter or a header
 * - unauthenticated: nobody known is signed in
 * - method-not-allowed: the path exists, but not with this method
 * - unsupported-media-type: a body of a kind that this call does not take
 * - too-large: a body, or a line of one, beyond its limit
 * - too-many: this caller asks too often
 */
export type RequestRefusalKind =
  | 'unreadable'
  | 'unauthenticated'
  | 'method-not-allowed'
  | 'unsupported-media-type'
  | 'too-large'
  | 'too-many';

/** Carries no value of the request: details name the rule. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
  constructor(
    readonly kind: RequestRefusalKind,
    readonly code: string,
    readonly detail: string,
    readonly more: {
      readonly violations?: readonly Violation[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(`${code}: ${detail}`);
  }
}

/** A header or query parameter that can not be read. */
export function unreadableParameter(
  parameter: string,
  code: string,
  detail: string,
): RequestRefused {
  return new RequestRefused('unreadable', code, detail, {
    violations: [{ parameter, code, detail }],
  });
}
