import { randomBytes, randomUUID } from 'node:crypto';
import {
  binaryEvent,
  EventStoreDBClient,
  NO_STREAM,
  START,
  streamNameFilter,
} from '@eventstore/db-client';

/**
 * The least that a client of KurrentDB can do, through the vendor's client alone: appends of one event each to streams of
 * their own, and a filtered subscription that looks at nothing. `kurrentdb.ts <connection string>`.
 */
export type Asked =
  | {
      readonly kind: 'append';
      readonly writers: number;
      readonly seconds: number;
      /** Of an event. */
      readonly bytes: number;
    }
  | { readonly kind: 'follow'; readonly prefix: string; readonly events: number };

const [connectionString = ''] = process.argv.slice(2);
const client = EventStoreDBClient.connectionString(connectionString);

/** Appends a second. */
async function append({ writers, seconds, bytes }: Asked & { kind: 'append' }): Promise<number> {
  const run = randomUUID();
  const data = randomBytes(bytes);
  const until = performance.now() + seconds * 1_000;
  let appended = 0;
  const write = async () => {
    while (performance.now() < until) {
      const event = binaryEvent({ type: 'ConsentGiven', data });
      const stream = `bench-${run}-${appended++}`;
      await client.appendToStream(stream, event, { expectedRevision: NO_STREAM });
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  return appended / seconds;
}

/** Events a second, from the log's beginning. */
async function follow({ prefix, events }: Asked & { kind: 'follow' }): Promise<number> {
  const filter = streamNameFilter({ prefixes: [prefix] });
  const began = performance.now();
  const subscription = client.subscribeToAll({ fromPosition: START, filter });
  let followed = 0;
  for await (const { event } of subscription) if (event && ++followed === events) break;
  return events / ((performance.now() - began) / 1_000);
}

process.on('message', (asked: Asked) => {
  (asked.kind === 'append' ? append(asked) : follow(asked)).then(
    (perSecond) => process.send?.({ perSecond }),
    (error: Error) => process.send?.({ failed: error.message }),
  );
});
process.send?.('ready');
process.on('SIGTERM', () => process.exit(0));
