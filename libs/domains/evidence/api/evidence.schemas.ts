import type { JsonSchema } from '#core/platform/http/operation.js';

/** Answers of this slice in JSON Schema (2020-12). Fields that are not listed may be added later. */

export const recordsSchema: JsonSchema = {
  type: 'object',
  properties: {
    '@context': { type: 'object' },
    '@graph': {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          '@id': { type: 'string' },
          '@type': { enum: ['dpv:ConsentRecord', 'dpv:ConsentReceipt'] },
          'dct:identifier': { type: 'string', format: 'uuid' },
          'dct:created': { type: 'string', format: 'date-time' },
        },
        required: ['@id', '@type', 'dct:identifier', 'dct:created'],
      },
    },
    asOf: { type: 'string', format: 'date-time' },
    knownAt: { type: 'string', description: 'A time or `position:N`, to ask the same again.' },
    position: { type: 'string' },
  },
  required: ['@context', '@graph', 'asOf', 'knownAt', 'position'],
};
