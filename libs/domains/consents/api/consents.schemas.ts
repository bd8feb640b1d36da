import { LEGAL_BASES } from '#domains/purposes/domain/purposes.events.js';
import { CODES } from '../domain/consents.vocabulary.js';

/** Answers of this slice as JSON Schema (2020-12). */

const text = { type: 'string' } as const;
const instant = { type: 'string', format: 'date-time' } as const;
const code = { enum: CODES } as const;

export const answerSchema = {
  type: 'object',
  required: ['allowed', 'code', 'reasons', 'asOf', 'position'],
  properties: {
    allowed: { type: 'boolean' },
    code,
    reasons: { type: 'array', items: code },
    basis: { enum: LEGAL_BASES },
    since: instant,
    event: {
      type: 'object',
      required: ['id', 'position'],
      properties: { id: text, position: text },
    },
    asOf: instant,
    knownAt: text,
    position: text,
  },
} as const;

export const answersSchema = {
  oneOf: [
    answerSchema,
    {
      type: 'object',
      required: ['answers'],
      properties: { answers: { type: 'array', items: answerSchema } },
    },
  ],
} as const;

export const audienceLineSchema = {
  oneOf: [
    {
      type: 'object',
      required: ['subjectId'],
      properties: {
        subjectId: text,
        externalRefs: { type: 'array', items: { type: 'object' } },
        contactPoints: { type: 'array', items: { type: 'object' } },
      },
    },
    {
      type: 'object',
      required: ['summary'],
      properties: {
        summary: {
          type: 'object',
          required: ['allowed', 'asOf', 'position'],
          properties: {
            allowed: { type: 'integer' },
            asOf: instant,
            knownAt: text,
            position: text,
            excluded: { type: 'object', additionalProperties: { type: 'integer' } },
          },
        },
      },
    },
  ],
} as const;

export const verdictSchema = {
  type: 'object',
  required: ['line', 'status'],
  properties: {
    line: { type: 'integer' },
    status: { enum: ['recorded', 'rejected', 'skipped'] },
    receiptId: text,
    subjectId: text,
    position: text,
    code: text,
    pointer: text,
    detail: text,
  },
} as const;
