import type { JsonSchema } from '#core/platform/http/operation.js';

/** Answers of this slice in JSON Schema (2020-12). Fields that are not listed may be added later. */

const text: JsonSchema = { type: 'string' };
const instant: JsonSchema = { type: 'string', format: 'date-time' };
const revision: JsonSchema = { type: 'integer', minimum: 0 };
const position: JsonSchema = {
  type: 'string',
  pattern: '^(0|[1-9][0-9]{0,18})$',
  description: 'A place in the log: ordered, otherwise opaque.',
};
const actor: JsonSchema = object({
  kind: { enum: ['service', 'officer', 'system', 'subject'] },
  id: text,
});
const declaredBy: JsonSchema = object(
  {
    kind: { enum: ['subject', 'guardian', 'representative', 'officer'] },
    assurance: { enum: ['none', 'link', 'login', 'voice', 'signed', 'eid'] },
  },
  ['assurance'],
);
const provenance: JsonSchema = object({ importId: text, line: { type: 'integer' } });

const item = object(
  {
    id: text,
    type: text,
    revision,
    position,
    occurredAt: { ...instant, description: 'When it happened.' },
    receivedAt: { ...instant, description: 'When the organisation had it in hand.' },
    recordedAt: { ...instant, description: 'When the ledger learned it.' },
    text: { type: 'string', description: 'The event in words.' },
    data: {
      type: 'object',
      description: 'Without personal fields, unless revealed; erased ones are {"erased":true}.',
    },
    actor: { ...actor, description: 'Who entered it.' },
    declaredBy: { ...declaredBy, description: 'Who made the declaration.' },
    source: text,
    provenance,
    receiptId: text,
  },
  ['receivedAt', 'declaredBy', 'provenance'],
);

export const timelineSchema = object({
  subjectId: text,
  items: { type: 'array', items: item },
  page: object({ next: { type: 'string', description: 'The cursor of the next page.' } }, ['next']),
  asOf: instant,
  knownAt: { type: 'string', description: 'A time or `position:N`, to ask the same again.' },
  position,
});

const comparedMoment = object({
  asOf: instant,
  knownAt: { type: 'string', description: 'A time or `position:N`, to ask the same again.' },
  position,
});

export const comparisonSchema = object({
  subjectId: text,
  from: comparedMoment,
  to: comparedMoment,
  changes: {
    type: 'array',
    items: object(
      {
        what: {
          enum: [
            'registered',
            'erased',
            'marketing-objection',
            'restriction',
            'contact-kind',
            'topic',
            'purpose',
          ],
        },
        purpose: text,
        topic: text,
        channel: text,
        kind: text,
        from: {
          description:
            'How it was: true or false; of a restriction `all` or keys of purposes; of a topic on, off or unset; ' +
            'of a purpose the answer with its bases, absent where it was not known yet.',
        },
        to: { description: 'How it was at the other moment.' },
        events: {
          type: 'array',
          items: object({
            id: text,
            type: text,
            position,
            occurredAt: instant,
            recordedAt: instant,
            text,
          }),
        },
        byTime: { type: 'boolean', description: 'Time alone made the difference.' },
      },
      ['purpose', 'topic', 'channel', 'kind', 'from', 'to'],
    ),
  },
});

export const receiptSchema = object(
  {
    receiptId: text,
    subjectId: text,
    revision,
    position,
    recordedAt: instant,
    events: {
      type: 'array',
      items: object({ id: text, type: text, revision, position }, ['position']),
    },
    visible: { type: 'boolean' },
    sealed: { type: 'boolean' },
    checkpoint: {
      ...object({ origin: text, size: { type: 'integer' }, root: text }),
      description: 'The first checkpoint that covers it; absent until one does.',
    },
  },
  ['checkpoint'],
);

export const envelopeSchema = object(
  {
    id: text,
    type: text,
    version: { type: 'integer', minimum: 1 },
    stream: text,
    revision,
    position,
    recordedAt: instant,
    occurredAt: instant,
    receivedAt: instant,
    actor,
    declaredBy,
    source: text,
    provenance,
    interactionId: text,
    correlationId: text,
    causationId: text,
    salt: text,
    data: { type: 'object', description: 'Personal fields are {"sealed":"..."}.' },
  },
  ['receivedAt', 'declaredBy', 'provenance', 'causationId'],
);

const size: JsonSchema = { type: 'integer', minimum: 1, description: 'Leaves of the tree.' };
const hash: JsonSchema = { type: 'string', description: '32 bytes in base64.' };
const hashes: JsonSchema = { type: 'array', items: hash };
const note: JsonSchema = {
  type: 'string',
  description: 'The checkpoint as it was signed (c2sp.org/tlog-checkpoint).',
};
const treeHead = object({ size, root: hash });

export const proofSchema: JsonSchema = {
  oneOf: [
    object({
      index: { type: 'integer', minimum: 0 },
      position,
      leafHash: hash,
      size,
      root: hash,
      hashes: { ...hashes, description: 'From the sibling of the leaf up (RFC 9162, 2.1.3).' },
      checkpoint: note,
      tlogProof: { type: 'string', description: 'The same as c2sp.org/tlog-proof@v1 writes it.' },
    }),
    object({
      from: treeHead,
      to: treeHead,
      hashes: { ...hashes, description: 'RFC 9162, 2.1.4.' },
      checkpoint: { ...note, description: 'That of the larger size, as it was signed.' },
    }),
  ],
};

export const logKeysSchema = object({
  origin: { type: 'string', description: 'What the log is called in its checkpoints.' },
  keys: {
    type: 'array',
    description: 'Oldest first.',
    items: object(
      {
        verifierKey: { type: 'string', description: 'As c2sp.org/signed-note writes it.' },
        from: { ...instant, description: 'Nothing published earlier has its signature.' },
        until: { ...instant, description: 'It signed nothing since; absent while it signs.' },
      },
      ['until'],
    ),
  },
});

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}) };
}
