import { bareClient, missingKurrentDb, onKurrentDb } from '../kurrentdb.js';
import type { Row } from '../row.js';
import { CONNECTIONS } from '../stage.js';
import { grantsOver } from './grant-http.js';

/** What a grant of the load is in the log, about. */
const BYTES = 1_200;

export default {
  name: 'grant-kurrentdb',
  subject: 'durable grants over HTTP, 64 connections, everything on, with the log on KurrentDB',
  reference: 'the bare client with 64 writers, an append of one event to a stream of its own',
  goal: { kind: 'rate', unit: 'requests/s', atLeast: 0.7 },
  missing: missingKurrentDb,
  async prepare(stage) {
    const { environment } = onKurrentDb();
    const { subject } = await grantsOver(stage, { settings: environment });
    const bare = await bareClient(stage);
    const { seconds } = stage.size;
    return {
      subject,
      reference: () => bare({ kind: 'append', writers: CONNECTIONS, seconds, bytes: BYTES }),
    };
  },
} satisfies Row;
