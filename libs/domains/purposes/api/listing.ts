import type { KnownAt } from '#core/kernel/moment.js';
import { Refused } from '#core/kernel/refused.js';
import {
  decodeCursor,
  encodeCursor,
  type Filters,
  type PageOf,
  pageOf,
  type PageQuery,
} from '#core/platform/http/cursor.js';

/**
 * A page of what is in memory as a whole. `placeOf` gives each item its one place in the list's order; a
 * cursor made before something was added still goes on behind where it stood.
 */
export function listed<Item>(
  list: string,
  filters: Filters,
  { limit, cursor }: PageQuery,
  items: readonly Item[],
  placeOf: (item: Item) => string,
): PageOf<Item> {
  const after = decodeCursor(list, filters, cursor)?.[0];
  const rest = items
    .map((item) => ({ item, place: placeOf(item) }))
    .filter(({ place }) => after === undefined || place > after)
    .sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
  const { data, page } = pageOf(rest.slice(0, limit + 1), limit, ({ place }) =>
    encodeCursor(list, filters, [place]),
  );
  return { data: data.map(({ item }) => item), page };
}

/** A number as text that sorts like the number. */
export function sortable(number: number): string {
  return String(number).padStart(10, '0');
}

/** A moment or place as it was asked for, to tie a cursor to it. */
export function spelled(knownAt: KnownAt | undefined): string | undefined {
  if (!knownAt) return undefined;
  return 'position' in knownAt ? `position:${knownAt.position}` : knownAt.instant;
}

export function found<Thing>(
  thing: Thing | undefined,
  what: 'purpose' | 'topic' | 'notice',
): Thing {
  if (thing !== undefined) return thing;
  throw new Refused('not-found', `unknown-${what}`, `There is no such ${what}.`);
}

/** A body that names a key names the one of its path. */
export function keyOfPath(key: string, inBody: string | undefined): string {
  if (inBody === undefined || inBody === key) return key;
  const violation = { pointer: '/key', code: 'not-of-path', detail: 'must be the key of the path' };
  throw new Refused('invalid', violation.code, violation.detail, { violations: [violation] });
}
