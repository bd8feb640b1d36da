import { KEPT_AS_PROOF } from '../domain/erasure.events.js';

const text = { type: 'string' } as const;
const instant = { type: 'string', format: 'date-time' } as const;

/** Long work as JSON Schema (2020-12), and an example; nobody in it exists. */
export const operationAnswer = {
  description: 'The operation.',
  body: {
    type: 'object',
    required: ['operationId', 'kind', 'status', 'subjectId'],
    properties: {
      operationId: text,
      kind: { enum: ['erasure'] },
      status: { enum: ['running', 'waiting', 'succeeded', 'failed'] },
      subjectId: text,
      progress: {
        type: 'object',
        properties: { step: text, dutiesToRetain: { type: 'array', items: text } },
      },
      result: {
        type: 'object',
        properties: {
          certificate: {
            type: 'object',
            properties: {
              subjectId: text,
              ground: text,
              requestedAt: instant,
              unreadableSince: instant,
              unreadableInEveryCopySince: {
                ...instant,
                description: 'When the key epoch closed; absent while it is open.',
              },
              epoch: { type: 'integer' },
              epochStatus: { enum: ['open', 'closed'] },
              completedAt: instant,
              kept: { type: 'array', items: text },
            },
          },
        },
      },
      problem: { type: 'object', properties: { code: text, reason: text } },
    },
  },
  example: {
    operationId: 'op_8d6f2a41-5b0e-8c19-a3d7-40e9b1c6f502',
    kind: 'erasure',
    status: 'succeeded',
    subjectId: 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001',
    progress: { step: 'completed' },
    result: {
      certificate: {
        subjectId: 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001',
        ground: 'consent-withdrawn',
        requestedAt: '2026-03-01T12:00:00.000Z',
        unreadableSince: '2026-03-01T12:00:00.180Z',
        unreadableInEveryCopySince: '2026-03-31T03:00:00.000Z',
        epoch: 3,
        epochStatus: 'closed',
        completedAt: '2026-03-01T12:00:05.400Z',
        kept: KEPT_AS_PROOF,
      },
    },
  },
} as const;
