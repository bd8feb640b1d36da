/**
 * The stable code of each rule, by the name of its constraint in class-validator. A rule that is not listed
 * has its own name in kebab-case; a single use is named otherwise with `{ context: { code: '...' } }`.
 */
const CODES: Readonly<Record<string, string>> = {
  isString: 'not-a-string',
  isNumber: 'not-a-number',
  isInt: 'not-an-integer',
  isBoolean: 'not-a-boolean',
  isArray: 'not-an-array',
  isObject: 'not-an-object',
  isEmail: 'malformed-email',
  isInstant: 'malformed-instant',
  isPeriod: 'malformed-period',
  isLanguage: 'malformed-language',
  isCode: 'malformed-code',
  isUrl: 'malformed-url',
  isUuid: 'malformed-id',
  isIdOf: 'malformed-id',
  isISO31661Alpha2: 'malformed-country',
  isBase64: 'malformed-base64',
  matches: 'malformed',
  isIn: 'not-one-of',
  isEnum: 'not-one-of',
  equals: 'not-one-of',
  length: 'wrong-length',
  minLength: 'too-short',
  maxLength: 'too-long',
  isNotEmpty: 'empty',
  isNotEmptyObject: 'empty',
  min: 'too-small',
  max: 'too-large',
  isPositive: 'too-small',
  arrayMinSize: 'too-few',
  arrayMaxSize: 'too-many',
  arrayNotEmpty: 'too-few',
  arrayUnique: 'duplicate',
  isPlainText: 'invalid-character',
  maxJsonBytes: 'too-large',
  isDefined: 'required',
};

/** Rules about the kind of value: where one fails, the others would only repeat it. */
const OF_KIND = new Set([
  'isString',
  'isNumber',
  'isInt',
  'isBoolean',
  'isArray',
  'isObject',
  'isNotEmptyObject',
  'isDefined',
]);

export function codeOf(constraint: string): string {
  return (
    CODES[constraint] ??
    constraint
      .replace(/([a-z0-9])([A-Z])/g, (_, end: string, start: string) => `${end}-${start}`)
      .toLowerCase()
  );
}

export function isOfKind(constraint: string): boolean {
  return OF_KIND.has(constraint);
}

/** What the rule asks, for rules whose own message is unclear. `constraints` are the decorator's arguments. */
export const DETAILS: Readonly<Record<string, (constraints: readonly unknown[]) => string>> = {
  isIn: ([values]) => `must be one of: ${(values as readonly unknown[]).join(', ')}`,
  isEnum: ([, values]) => `must be one of: ${(values as readonly unknown[]).join(', ')}`,
  equals: ([value]) => `must be: ${String(value)}`,
  isInt: () => 'must be a whole number',
  isNumber: () => 'must be a number',
  isBoolean: () => 'must be true or false',
  maxLength: ([max]) => `must have at most ${String(max)} characters`,
  minLength: ([min]) => `must have at least ${String(min)} characters`,
  length: ([min, max]) => `must have ${String(min)} to ${String(max)} characters`,
  arrayMinSize: ([min]) => `must have at least ${String(min)} items`,
  arrayMaxSize: ([max]) => `must have at most ${String(max)} items`,
  arrayUnique: () => 'must not have the same item twice',
  matches: () => 'has not the form that is asked for',
};
