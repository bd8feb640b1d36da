import { applyDecorators } from '@nestjs/common';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsString,
  MaxLength,
  MinLength,
  ValidateBy,
  type ValidationOptions,
} from 'class-validator';
import { isId, type Prefix } from '#core/kernel/ids.js';
import { parseInstant, parsePeriod } from '#core/kernel/instant.js';
import { parseKnownAt } from '#core/kernel/moment.js';
import { Normalised } from './shapes.js';

/** Rules of the public contract, to be used on the properties of a shape beside class-validator's own. */

function rule(
  name: string,
  detail: string,
  validate: (value: string) => boolean,
  options?: ValidationOptions,
  constraints: unknown[] = [],
): PropertyDecorator {
  return ValidateBy(
    {
      name,
      constraints,
      validator: {
        // Beside IsString: a value of another kind is already refused by its name.
        validate: (value: unknown) => typeof value === 'string' && validate(value),
        defaultMessage: () => detail,
      },
    },
    options,
  );
}

/** An RFC 3339 date-time with zone; becomes the same moment in UTC with milliseconds. */
export function IsInstant(options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    rule(
      'isInstant',
      'must be an RFC 3339 date-time with a zone, like 2026-03-01T12:00:00Z',
      (value) => parseInstant(value) !== undefined,
      options,
    ),
    Normalised((value: string) => parseInstant(value)),
  ) as PropertyDecorator;
}

/** A period of ISO 8601 in years, months, weeks and days: `P24M`. */
export function IsPeriod(options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    rule(
      'isPeriod',
      'must be an ISO 8601 period of years, months, weeks or days, like P24M',
      (value) => parsePeriod(value) !== undefined,
      options,
    ),
  ) as PropertyDecorator;
}

/** A BCP 47 language tag; becomes its canonical spelling, `de-AT`. */
export function IsLanguage(options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    rule(
      'isLanguage',
      'must be a BCP 47 language tag, like de or de-AT',
      (value) => canonicalLanguage(value) !== undefined,
      options,
    ),
    Normalised((value: string) => canonicalLanguage(value)),
  ) as PropertyDecorator;
}

/** The canonical spelling of a BCP 47 tag of at most 35 characters (RFC 5646, section 4.4.1). */
export function canonicalLanguage(tag: string): string | undefined {
  if (tag.length < 2 || tag.length > 35) return undefined;
  try {
    return Intl.getCanonicalLocales(tag)[0];
  } catch {
    return undefined;
  }
}

/** A code in the clear, such as a source or a collection point: nothing personal fits in. */
export function IsCode(options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    rule(
      'isCode',
      'must be 1 to 64 lower-case letters, digits or hyphens',
      (value) => /^[a-z0-9-]{1,64}$/.test(value),
      options,
    ),
  ) as PropertyDecorator;
}

/** An id of ours with this prefix: `sub_...`. */
export function IsIdOf(prefix: Prefix, options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    rule(
      'isIdOf',
      `must be an id that starts with ${prefix}_`,
      (value) => isId(prefix, value),
      options,
      [prefix],
    ),
  ) as PropertyDecorator;
}

/**
 * Text as a person writes it, 1 to `max` characters, kept as it is: no control characters but tab and the
 * ends of lines, and not only blanks.
 */
export function IsPlainText(max: number, options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    MinLength(1, { ...options, context: { code: 'empty', detail: 'must not be empty' } }),
    MaxLength(max, options),
    rule(
      'isPlainText',
      'must have no control characters but tabs and line feeds',

      (value) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]|\r(?!\n)/.test(value),
      options,
    ),
    rule('isNotBlank', 'must not be blank', (value) => value === '' || value.trim() !== '', {
      ...options,
      context: { code: 'empty', detail: 'must not be blank' },
    }),
  ) as PropertyDecorator;
}

/** A list of plain values, `min` to `max` of them; their own rules stand beside it with `{ each: true }`. */
export function IsList(min: number, max: number): PropertyDecorator {
  return applyDecorators(IsArray(), ArrayMinSize(min), ArrayMaxSize(max)) as PropertyDecorator;
}

/** Any JSON whose text in UTF-8 has at most `max` bytes. */
export function MaxJsonBytes(max: number, options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'maxJsonBytes',
      constraints: [max],
      validator: {
        validate: (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '') <= max,
        defaultMessage: () => `must have at most ${max} bytes as JSON`,
      },
    },
    options,
  );
}

/** What the ledger knew: an RFC 3339 date-time with zone, or `position:N`. */
export function IsKnownAt(options?: ValidationOptions): PropertyDecorator {
  return applyDecorators(
    IsString(options),
    rule(
      'isKnownAt',
      'must be an RFC 3339 date-time with a zone, or position: and a position',
      (value) => parseKnownAt(value) !== undefined,
      options,
    ),
    Normalised((value: string) => parseKnownAt(value)),
  ) as PropertyDecorator;
}
