/** JSON Schemas (2020-12) of what several slices answer with. */

const text = { type: 'string' } as const;

export const receiptSchema = {
  type: 'object',
  required: [
    'receiptId',
    'subjectId',
    'revision',
    'position',
    'recordedAt',
    'events',
    'visible',
    'sealed',
  ],
  properties: {
    receiptId: text,
    subjectId: text,
    revision: { type: 'integer' },
    position: text,
    recordedAt: { type: 'string', format: 'date-time' },
    events: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'type', 'revision'],
        properties: { id: text, type: text, revision: { type: 'integer' }, position: text },
      },
    },
    visible: { type: 'boolean' },
    sealed: { type: 'boolean', description: 'Whether a signed checkpoint covers it.' },
    checkpoint: {
      type: 'object',
      description: 'The first checkpoint that covers it; absent until one does.',
      required: ['origin', 'size', 'root'],
      properties: { origin: text, size: { type: 'integer' }, root: text },
    },
  },
} as const;

export const receiptExample = {
  receiptId: 'rcp_8d6f2a41-5b0e-8c19-a3d7-40e9b1c6f502',
  subjectId: 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001',
  revision: 3,
  position: '1042',
  recordedAt: '2026-03-01T11:58:20.114Z',
  events: [
    {
      id: 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa',
      type: 'ConsentGiven',
      revision: 3,
      position: '1042',
    },
  ],
  visible: false,
  sealed: false,
} as const;

/** The answer of a call that records something. */
export const receiptAnswer = {
  description: 'The receipt.',
  body: receiptSchema,
  example: receiptExample,
  headers: {
    ETag: "The stream's revision now.",
    'Consistency-Token': 'For a read that must see what was recorded.',
  },
} as const;
