import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { Refused, type Violation } from '#core/kernel/refused.js';
import { refuseStream } from './json-body.js';
import { convertedQuery, isShape, readerOf } from './reader.js';
import { RequestRefused } from './request-refused.js';
import type { Shape } from './shapes.js';

/**
 * Reads bodies and queries into the classes that handlers declare, or refuses them with all violations at
 * once: 422 with pointers for a body, 400 with parameters for a query. A parameter without a shape is
 * passed on as it is.
 */
export class ValidationPipe implements PipeTransform {
  transform(value: unknown, { type, metatype, data }: ArgumentMetadata): unknown {
    if ((type !== 'body' && type !== 'query') || data !== undefined || !isShape(metatype))
      return value;
    return type === 'body' ? readBody(metatype, value) : readQuery(metatype, value);
  }
}

/** Also for lines of a stream and for the command line: the same shape, the same violations. */
export function readBody<T extends object>(shape: Shape<T>, value: unknown): T {
  if (value === undefined)
    throw new RequestRefused('unreadable', 'body-missing', 'This call needs a JSON body.');
  refuseStream(value);
  const violations: Violation[] = [];
  const read = readerOf(shape).read(value, '', violations);
  if (violations.length > 0)
    throw new Refused(
      'invalid',
      'invalid-body',
      'The body was read but is not acceptable; see errors.',
      {
        violations,
      },
    );
  return read as T;
}

export function readQuery<T extends object>(shape: Shape<T>, value: unknown): T {
  const query = convertedQuery(shape, (value ?? {}) as Record<string, unknown>);
  const violations: Violation[] = [];
  const read = readerOf(shape).read(query, '', violations);
  if (violations.length === 0) return read as T;
  throw new RequestRefused(
    'unreadable',
    'invalid-query',
    'The query can not be read; see errors.',
    {
      violations: violations.map(({ pointer, code, detail }) => ({
        parameter: parameterOf(pointer ?? ''),
        code: code === 'unknown-field' ? 'unknown-parameter' : code,
        detail: code === 'unknown-field' ? 'there is no parameter of this name here' : detail,
      })),
    },
  );
}

/** A name of no parameter of ours could be anything, also something that must not be repeated. */
function parameterOf(pointer: string): string {
  const [, name = ''] = pointer.split('/');
  return /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name) ? name : '';
}
