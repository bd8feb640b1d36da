import { createHash } from 'node:crypto';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { unreadableParameter } from './request-refused.js';

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 200;

/** The query of every list; lists with filters extend it. */
export class PageQuery {
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_LIMIT)
  limit: number = DEFAULT_LIMIT;

  /** From `page.next` of the page before, with the same filters. */
  @IsOptional()
  @IsString()
  @MaxLength(2_048)
  cursor?: string;
}

/** A part of a list. `page.next` is missing on the last one. */
export interface PageOf<T> {
  readonly data: readonly T[];
  readonly page: { readonly next?: string };
}

/** The filters a list was asked with: what a cursor belongs to. */
export type Filters = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/** Where the next page starts: the sort key of the last item, whatever its parts mean to the list. */
export type Place = readonly [string, ...string[]];

/** A cursor: opaque, and good only for the list and the filters it was made with. `list` names the list. */
export function encodeCursor(list: string, filters: Filters, after: Place): string {
  return Buffer.from(JSON.stringify([fingerprint(list, filters), ...after])).toString('base64url');
}

/** The place a cursor stands for; undefined where none was sent. */
export function decodeCursor(
  list: string,
  filters: Filters,
  cursor: string | undefined,
): Place | undefined {
  if (cursor === undefined) return undefined;
  const [print, ...after] = partsOf(cursor);
  if (print !== fingerprint(list, filters))
    throw unreadableParameter(
      'cursor',
      'cursor-mismatch',
      'The cursor belongs to other filters: keep them, or start again without it.',
    );
  return after as unknown as Place;
}

/**
 * The page made of one item more than was asked for: read `limit + 1` items, and the surplus one tells that
 * there is a next page.
 */
export function pageOf<T>(
  items: readonly T[],
  limit: number,
  cursorAfter: (last: T) => string,
): PageOf<T> {
  const data = items.slice(0, limit);
  const last = data.at(-1);
  return { data, page: items.length > limit && last ? { next: cursorAfter(last) } : {} };
}

function partsOf(cursor: string): readonly [string, ...string[]] {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    parts = undefined;
  }
  if (
    !Array.isArray(parts) ||
    parts.length < 2 ||
    !parts.every((part) => typeof part === 'string') ||
    Buffer.from(JSON.stringify(parts)).toString('base64url') !== cursor
  )
    throw unreadableParameter(
      'cursor',
      'cursor-malformed',
      'The cursor must be one that an earlier page gave.',
    );
  return parts as [string, ...string[]];
}

// Ties a cursor to its filters against mistakes; it guards nothing that its caller could not ask for.
function fingerprint(list: string, filters: Filters): string {
  const sorted = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([list, sorted]))
    .digest('base64url')
    .slice(0, 12);
}
