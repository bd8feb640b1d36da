import { applyDecorators } from '@nestjs/common';
import { IsObject } from 'class-validator';
import { escaped } from '#core/platform/http/json-body.js';
import type { FieldRule } from '#core/platform/http/shapes.js';
import { canonicalLanguage, MaxJsonBytes } from '#core/platform/http/validators.js';

/** Texts by language, `{"de": "...", "en": "..."}`. The class has `@Rule(textsByLanguage(...))` beside it. */
export function IsTexts(): PropertyDecorator {
  return applyDecorators(IsObject(), MaxJsonBytes(20_000)) as PropertyDecorator;
}

const LONGEST = 2_000;

/** Points at each text that can not be shown, and at each language that is none. */
export function textsByLanguage({
  atLeastOne,
}: {
  atLeastOne: boolean;
}): FieldRule<{ texts: Record<string, unknown> }> {
  return ({ texts }) => {
    const entries = Object.entries(texts);
    if (atLeastOne && entries.length === 0)
      return [{ pointer: '/texts', code: 'too-few', detail: 'must have at least one language' }];
    const seen = new Set<string>();
    return entries.flatMap(([tag, text]) => {
      // A name of any length would make an answer of any length.
      const pointer = tag.length > 64 ? '/texts' : `/texts/${escaped(tag)}`;
      const language = canonicalLanguage(tag);
      if (language === undefined)
        return [
          { pointer, code: 'malformed-language', detail: 'must be a BCP 47 language tag, like de' },
        ];
      if (seen.has(language))
        return [{ pointer, code: 'duplicate', detail: 'this language is there already' }];
      seen.add(language);
      if (typeof text !== 'string')
        return [{ pointer, code: 'not-a-string', detail: 'must be a text' }];
      if (text.trim() === '') return [{ pointer, code: 'empty', detail: 'must not be empty' }];
      if (text.length > LONGEST)
        return [{ pointer, code: 'too-long', detail: `must have at most ${LONGEST} characters` }];
      if (/\p{Cc}/u.test(text))
        return [{ pointer, code: 'invalid-character', detail: 'must have no control characters' }];
      return [];
    });
  };
}

/** The same texts, each language in its one spelling. */
export function canonicalTexts(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([tag, text]) => [canonicalLanguage(tag) ?? tag, text]),
  );
}
