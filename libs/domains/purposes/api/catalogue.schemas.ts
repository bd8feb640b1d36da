import type { JsonSchema } from '#core/platform/http/operation.js';
import { CHANNELS, LEGAL_BASES, NOTICE_KINDS } from '../domain/purposes.events.js';

/** Answers of this slice in JSON Schema (2020-12). Fields that are not listed may be added later. */

const text: JsonSchema = { type: 'string' };
const instant: JsonSchema = { type: 'string', format: 'date-time' };
const flag: JsonSchema = { type: 'boolean' };
const count: JsonSchema = { type: 'integer', minimum: 0 };
const period: JsonSchema = { type: 'string', format: 'duration' };
const hash: JsonSchema = {
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the words in UTF-8.',
};
const position: JsonSchema = {
  type: 'string',
  pattern: '^(0|[1-9][0-9]{0,18})$',
  description: 'The last change that is in the answer.',
};
const revision: JsonSchema = {
  type: 'integer',
  minimum: 0,
  description: 'As in ETag, to be sent back in If-Match.',
};
const texts: JsonSchema = { type: 'object', additionalProperties: text };
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const page = object({ next: { type: 'string', description: 'The cursor of the next page.' } }, [
  'next',
]);
const pageOf = (item: JsonSchema): JsonSchema => object({ data: listOf(item), page });

const definition = {
  key: text,
  texts,
  controllers: listOf(text),
  marketing: flag,
  allowedBases: listOf({ enum: LEGAL_BASES }),
  channels: listOf({ enum: CHANNELS }),
  minimumEvidence: { enum: ['none', 'notice'] },
  doubleOptIn: flag,
  explicitConsent: flag,
  expiresAfter: period,
  retention: period,
  dataCategories: listOf(text),
  recipients: listOf(text),
};

export const purposeSchema = object(
  {
    purposeId: text,
    ...definition,
    definedAt: instant,
    retiredAt: instant,
    definitionRevision: { ...count, description: 'What a consent given now refers to.' },
    revision,
    position,
  },
  ['expiresAfter', 'retention', 'retiredAt'],
);
export const purposesSchema = pageOf(purposeSchema);

export const historySchema = pageOf(
  object(
    {
      revision: count,
      position: text,
      change: { enum: ['defined', 'revised', 'retired'] },
      recordedAt: instant,
      actor: object({ kind: { enum: ['service', 'officer', 'system', 'subject'] }, id: text }),
      definition: object(definition, ['expiresAfter', 'retention']),
      retiredAt: instant,
    },
    ['definition', 'retiredAt'],
  ),
);

export const topicSchema = object(
  {
    topicId: text,
    key: text,
    purpose: text,
    unset: { enum: ['off', 'follows-purpose'] },
    texts,
    retiredAt: instant,
    revision,
    position,
  },
  ['retiredAt'],
);
export const topicsSchema = pageOf(topicSchema);

const version = { version: count, language: text, text, hash, publishedAt: instant };
const notice = { noticeId: text, purpose: text, kind: { enum: NOTICE_KINDS } };

export const publishedSchema = object({ ...notice, ...version, revision, position }, ['purpose']);
export const noticesSchema = pageOf(object({ ...notice, ...version }, ['purpose']));
export const noticeSchema = object(
  { ...notice, versions: listOf(object(version)), revision, position },
  ['purpose'],
);
export const wordsSchema = object({
  hash,
  text,
  published: listOf(
    object({ ...notice, version: count, language: text, publishedAt: instant }, ['purpose']),
  ),
});

const controller = { key: text, name: text, contact: text };

export const controllerSchema = object({ ...controller, revision, position }, ['contact']);
export const controllersSchema = object(
  { data: listOf(object(controller, ['contact'])), page, revision },
  ['revision'],
);
export const sourceSchema = object({ key: text, revision, position }, ['revision']);
export const sourcesSchema = object({ data: listOf(object({ key: text })), page, revision }, [
  'revision',
]);
export const defaultsSchema = object(
  {
    bases: listOf(
      object(
        {
          purpose: text,
          basis: { enum: LEGAL_BASES.filter((basis) => basis !== 'consent') },
          status: { enum: ['established', 'asserted'] },
          reference: text,
          assessment: text,
        },
        ['reference', 'assessment'],
      ),
    ),
    revision,
    position,
  },
  ['revision'],
);

const tally = object({ defined: count, revised: count, unchanged: count });
export const appliedSchema = object({
  controllers: tally,
  sources: tally,
  purposes: tally,
  notices: tally,
  topics: tally,
  defaults: tally,
  position,
  visible: { ...flag, description: 'Whether every answer takes it into account already.' },
});

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}) };
}
