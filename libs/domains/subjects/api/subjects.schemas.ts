/** Answers of this slice as JSON Schema (2020-12). */

const text = { type: 'string' } as const;
const instant = { type: 'string', format: 'date-time' } as const;

export const foundSchema = {
  type: 'object',
  required: ['subjects'],
  properties: {
    subjects: {
      type: 'array',
      items: { type: 'object', required: ['subjectId'], properties: { subjectId: text } },
    },
  },
} as const;

export const subjectSchema = {
  type: 'object',
  required: [
    'subjectId',
    'asOf',
    'position',
    'revision',
    'purposes',
    'topics',
    'objectsToMarketing',
  ],
  properties: {
    subjectId: text,
    asOf: instant,
    knownAt: text,
    position: text,
    revision: { type: 'integer' },
    erasedAt: instant,
    identity: { type: 'object' },
    purposes: { type: 'array', items: { type: 'object' } },
    topics: { type: 'object' },
    objectsToMarketing: { type: 'boolean' },
  },
} as const;
