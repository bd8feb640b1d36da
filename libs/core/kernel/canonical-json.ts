/** A number that is none, or half of a surrogate pair: RFC 8785 has no form for it. */
export class NotCanonical extends Error {
  override readonly name = 'NotCanonical';
}

/**
 * Canonical JSON (RFC 8785) of what JSON can say: no white space, an object's members in the order of their
 * names' UTF-16 code units, texts and numbers as ECMAScript writes them. Members that are undefined are left out.
 * @throws NotCanonical
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonical(`${value} is no number that JSON has`);
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? listed(value) : `{${canonicalMembers(value)}}`;
    case 'undefined':
    case 'bigint':
    case 'symbol':
    case 'function':
      throw new TypeError(`JSON has no ${typeof value}`);
  }
}

/** What stands between an object's braces: all of its members, or those whose names `belong`. */
export function canonicalMembers(object: object, belong?: (name: string) => boolean): string {
  let members = '';
  for (const name of sorted(Object.keys(object))) {
    const value = (object as Record<string, unknown>)[name];
    if (value === undefined || (belong && !belong(name))) continue;
    if (members !== '') members += ',';
    members += `${quoted(name)}:${canonicalJson(value)}`;
  }
  return members;
}

function listed(items: readonly unknown[]): string {
  let list = '[';
  for (let i = 0; i < items.length; i++) {
    if (i > 0) list += ',';
    list += canonicalJson(items[i]);
  }
  return `${list}]`;
}

/** Most objects are in order already, and sorting costs more than finding that out. */
function sorted(names: string[]): readonly string[] {
  for (let i = 1; i < names.length; i++)
    if ((names[i - 1] as string) > (names[i] as string)) return names.sort();
  return names;
}

/** ASCII without quotation mark, backslash and control characters: written as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  if (/\p{Surrogate}/u.test(text)) throw new NotCanonical('a text has half a surrogate pair');
  return JSON.stringify(text);
}
