import type { Row } from '../row.js';
import { audience } from './audience-now.js';

export default {
  name: 'audience-past',
  subject:
    'everyone who might be sent the newsletter by e-mail on a past day, over HTTP, as NDJSON',
  reference: 'COPY of the same ids from the same join',
  goal: { kind: 'time', unit: 's', atMost: 2 },
  limits: { serverPeakMb: { unit: 'MB', atMost: 300 } },
  prepare: (stage) => audience(stage, '2026-03-01T00:00:00.000Z'),
} satisfies Row;
