import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { parsePosition, type Position } from '#core/kernel/position.js';
import { documented } from './documented.js';
import { unreadableParameter } from './request-refused.js';

/** What `If-Match` asks: any revision, or one of these. An entity tag that is none of ours matches nothing. */
export type ExpectedRevision =
  { readonly kind: 'any' } | { readonly kind: 'one-of'; readonly revisions: readonly number[] };

const ENTITY_TAG = '"[!#-~\\x80-\\xff]*"';
const LIST = new RegExp(`^${ENTITY_TAG}(?:[ \\t]*,[ \\t]*${ENTITY_TAG})*$`);

/** Reads `If-Match` (RFC 9110, section 13.1.1). Weak tags never match strongly and are refused as malformed. */
export function parseIfMatch(header: string | undefined): ExpectedRevision | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (text === '*') return { kind: 'any' };
  if (!LIST.test(text))
    throw unreadableParameter(
      'If-Match',
      'if-match-malformed',
      'If-Match must be *, or a list of strong entity tags as ETag gave them.',
    );
  const tags = text.match(new RegExp(ENTITY_TAG, 'g')) ?? [];
  const revisions = tags
    .map((tag) => tag.slice(1, -1))
    .filter((tag) => /^(0|[1-9]\d{0,14})$/.test(tag))
    .map(Number);
  return { kind: 'one-of', revisions };
}

/**
 * The one revision a command is given; undefined where any will do. Of several the highest: revisions only
 * grow, so it is the one the caller saw last, and a stream that still has a lower one is refused, which is safe.
 * No stream ever has the revision -1.
 */
export function lastExpected(expected: ExpectedRevision | undefined): number | undefined {
  return expected?.kind === 'one-of' ? Math.max(-1, ...expected.revisions) : undefined;
}

/** The handler's parameter for an `If-Match` that may be missing. */
export const IfMatch = documented(
  'If-Match',
  createParamDecorator((_: unknown, context: ExecutionContext) =>
    parseIfMatch(headerOf(context, 'if-match')),
  ),
);

/** A position as clients carry it. Opaque to them: on other stores it has other contents. */
export function encodeConsistencyToken(position: Position): string {
  return Buffer.from(position).toString('base64url');
}

export function parseConsistencyToken(header: string | undefined): Position | undefined {
  if (header === undefined) return undefined;
  const position = parsePosition(Buffer.from(header, 'base64url').toString('latin1'));
  // Decoding is lenient: only what we would write ourselves is a token.
  if (position !== undefined && encodeConsistencyToken(position) === header) return position;
  throw unreadableParameter(
    'Consistency-Token',
    'consistency-token-malformed',
    'Consistency-Token must be one that an earlier answer gave.',
  );
}

/** The handler's parameter for the position a read must have reached; undefined: as far as it has come. */
export const ConsistentAt = documented(
  'Consistency-Token',
  createParamDecorator((_: unknown, context: ExecutionContext) =>
    parseConsistencyToken(headerOf(context, 'consistency-token')),
  ),
);

function headerOf(context: ExecutionContext, name: string): string | undefined {
  const value = context.switchToHttp().getRequest<FastifyRequest>().headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
