import type { FastifyInstance } from 'fastify';
import { invalid, type Violation } from '#core/kernel/refused.js';
import { RequestRefused } from './request-refused.js';

/** Objects and arrays inside each other: more than any body of ours needs. */
export const MAX_DEPTH = 32;

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads JSON as the ledger accepts it: bytes that are UTF-8, text that is JSON, and no string that could not
 * be stored or sent on as it is. Undefined where there are no bytes. Throws 400 for what can not be read
 * and 422, with a pointer, for what was read and is not acceptable.
 */
export function readJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new RequestRefused('unreadable', 'invalid-utf8', 'The body is not valid UTF-8.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the body.
    throw new RequestRefused('unreadable', 'malformed-json', 'The body is not valid JSON.');
  }
  // Both kinds of bad character can only come from an escape: the decoder and the parser refuse them bare.
  const violations = check(value, text.includes('\\u'));
  const [first, ...others] = violations;
  if (first) throw invalid(first, ...others);
  return value;
}

/** Violations beyond this many are not listed: a body must not be answered by a larger one. */
const MAX_VIOLATIONS = 100;

function check(root: unknown, escapes: boolean): Violation[] {
  const violations: Violation[] = [];
  const visit = (value: unknown, pointer: string, depth: number): void => {
    if (violations.length >= MAX_VIOLATIONS) return;
    if (typeof value === 'string') {
      if (escapes && isBad(value)) violations.push(badCharacter(pointer));
      return;
    }
    if (typeof value === 'number' && isInexact(value)) violations.push(inexactNumber(pointer));
    if (typeof value !== 'object' || value === null) return;
    if (depth > MAX_DEPTH) {
      violations.push({
        pointer,
        code: 'nested-too-deeply',
        detail: `Objects and arrays may be nested ${MAX_DEPTH} deep.`,
      });
      return;
    }
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) visit(value[i], `${pointer}/${i}`, depth + 1);
      return;
    }
    for (const key in value) {
      if (escapes && isBad(key)) violations.push(badCharacter(pointer));
      else if (key === '__proto__')
        violations.push({
          pointer: `${pointer}/__proto__`,
          code: 'unknown-field',
          detail: 'No object may have a field of this name.',
        });
      else {
        const inner = (value as Record<string, unknown>)[key];
        // Most values can not be bad: spare them their pointer.
        if (
          (typeof inner === 'object' && inner !== null) ||
          (typeof inner === 'number' && isInexact(inner)) ||
          (escapes && typeof inner === 'string')
        )
          visit(inner, `${pointer}/${escaped(key)}`, depth + 1);
      }
    }
  };
  visit(root, '', 1);
  return violations;
}

function isBad(text: string): boolean {
  return text.includes('\0') || /\p{Surrogate}/u.test(text);
}

/** Not what was sent: beyond what a double holds, or a whole number beyond 2^53 (RFC 7493, section 2.2). */
function isInexact(number: number): boolean {
  return !Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number));
}

function inexactNumber(pointer: string): Violation {
  return {
    pointer,
    code: 'number-out-of-range',
    detail: 'A number is too large to be kept exactly; send it as text.',
  };
}

function badCharacter(pointer: string): Violation {
  return {
    pointer,
    code: 'invalid-character',
    detail: 'A text, or the name of a field, has a NUL character or half a surrogate pair.',
  };
}

/** A field's name as a reference token of a JSON Pointer (RFC 6901, section 3). */
export function escaped(name: string): string {
  return name.includes('~') || name.includes('/')
    ? name.replaceAll('~', '~0').replaceAll('/', '~1')
    : name;
}

/**
 * Makes JSON the only body that is parsed, and NDJSON one that is handed on as a stream; all others are 415.
 * Streams have no limit on their length: their readers limit each line.
 */
export function registerBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      refuseOtherCharsets(request.headers['content-type']);
      done(null, readJson(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  for (const type of ['application/x-ndjson', 'application/jsonl', 'application/ndjson'])
    server.addContentTypeParser(type, (request, payload, done) => {
      try {
        refuseOtherCharsets(request.headers['content-type']);
        // Not before its reader asks for it.
        request.awaitsCaller = false;
        done(null, payload);
      } catch (error) {
        done(error as Error);
      }
    });
}

/** A stream where one document is expected: the caller sent NDJSON to a call that does not take it. */
export function refuseStream(body: unknown): void {
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
    throw new RequestRefused(
      'unsupported-media-type',
      'unsupported-media-type',
      'The body must be application/json in UTF-8.',
    );
}

function refuseOtherCharsets(contentType = ''): void {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset))
    throw new RequestRefused(
      'unsupported-media-type',
      'unsupported-media-type',
      'The body must be in UTF-8.',
    );
}
