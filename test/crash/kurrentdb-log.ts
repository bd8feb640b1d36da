import { EventStoreDBClient, START } from '@eventstore/db-client';
import type { Stored } from './log-check.js';

/** Events a page. */
const PAGE = 2_000;

/** Every event of the streams with this prefix in the order of the server's log: through the vendor's client alone. */
export async function readKurrentDbLog(url: string, prefix: string): Promise<readonly Stored[]> {
  const client = EventStoreDBClient.connectionString(url);
  const log: Stored[] = [];
  try {
    for (let from: { commit: bigint; prepare: bigint } | typeof START = START; ;) {
      let read = 0;
      const before: typeof from = from;
      for await (const { event } of client.readAll({ fromPosition: from, maxCount: PAGE })) {
        read++;
        if (!event?.position) continue;
        const { commit } = event.position;
        // A read from a position begins with the event that lies there.
        if (before !== START && commit === before.commit) continue;
        from = event.position;
        if (event.isJson || !event.streamId.startsWith(prefix)) continue;
        const { id, interactionId } = JSON.parse(Buffer.from(event.data).toString()) as Stored;
        const stream = event.streamId.slice(prefix.length);
        const revision = Number(event.revision);
        log.push({ position: String(commit), id, stream, revision, interactionId });
      }
      if (read < PAGE) return log;
    }
  } finally {
    await client.dispose();
  }
}
