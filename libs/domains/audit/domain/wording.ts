import type { EventSpecification } from '#core/kernel/catalogue.js';
import { type Language, wordFor } from './words.js';

/** What purposes and topics are called in the catalogue, by key. */
export interface Names {
  readonly purposes: Readonly<Record<string, Named>>;
  readonly topics: Readonly<Record<string, Named>>;
}

export interface Named {
  /** By BCP 47 language tag. */
  readonly texts: Readonly<Record<string, string>>;
}

type Data = Readonly<Record<string, unknown>>;

/**
 * An event's sentence: the catalogue's template with the clear fields of its data filled in, codes as words,
 * and purposes and topics as `Name [key]`. Personal fields are never filled in, whether they can be read or
 * not; a field that is missing leaves no gap behind.
 */
export function sentenceOf(
  { says, sealed = {} }: Pick<EventSpecification, 'says' | 'sealed'>,
  data: Data,
  names: Names,
  language: Language,
): string {
  const fieldAt = (name: string) =>
    name in sealed ? undefined : inWords(name, data[name], names, language);
  const present = says[language].replace(FIELD, (place, name: string) =>
    fieldAt(name) === undefined ? '' : place,
  );
  // Gaps are closed before anything is filled in: a value stays as it is, whatever is in it.
  return withoutGaps(present).replace(FIELD, (_, name: string) => fieldAt(name) ?? '');
}

const FIELD = /\{(\w+)\}/g;

function inWords(
  field: string,
  value: unknown,
  names: Names,
  language: Language,
): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || value === '') return undefined;
  switch (field) {
    case 'purpose':
      return labelOf(value, names.purposes, language);
    case 'topic':
      return labelOf(value, names.topics, language);
    default:
      return wordFor(field, value, language) ?? value;
  }
}

/** The key always stands beside the name: names can be revised, and two can be alike. */
function labelOf(key: string, named: Names['purposes'], language: Language): string {
  const texts = Object.hasOwn(named, key) ? named[key]?.texts : undefined;
  const name = texts && textIn(texts, language);
  return name === undefined || name === key ? key : `${name} [${key}]`;
}

/** In the language itself, or else in one of its regions' forms: never in another language. */
function textIn(texts: Named['texts'], language: Language): string | undefined {
  const tag =
    language in texts
      ? language
      : Object.keys(texts)
          .filter((other) => other.toLowerCase().startsWith(`${language}-`))
          .sort()[0];
  return tag === undefined ? undefined : texts[tag];
}

/** Blanks, brackets and colons that stood around a field that is missing. */
function withoutGaps(template: string): string {
  return template
    .replace(/\(\s*\)/g, '')
    .replace(/\(\s+/g, '(')
    .replace(/\s+\)/g, ')')
    .replace(/\s{2,}/g, ' ')
    .replace(/\s+([:,])/g, '$1')
    .replace(/^[\s:,]+|[\s:,]+$/g, '');
}
