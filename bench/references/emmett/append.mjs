import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';

/**
 * Appends through emmett, in process: no HTTP, no validation, no sealing, no read models. As many appends
 * are under way at once as the load generator has connections, each of one event to a stream of its own.
 */
const [connectionString = ''] = process.argv.slice(2);
const store = getPostgreSQLEventStore(connectionString);
await store.schema.migrate();
let stream = 0;

/** Appends a second, over as many lanes. */
async function appendFor(seconds, warmUpSeconds, connections) {
  const from = performance.now() + warmUpSeconds * 1_000;
  const until = from + seconds * 1_000;
  let counted = 0;
  const lane = async () => {
    while (performance.now() < until) {
      const at = new Date().toISOString();
      await store.appendToStream(`subject-${process.pid}-${stream++}`, [
        {
          type: 'ConsentGiven',
          data: {
            occurredAt: at,
            source: 'web-form',
            collectionPoint: 'checkout',
            purpose: 'newsletter',
            noticeVersion: 2,
            confirmation: { method: 'double-opt-in', at },
            evidence: 'x'.repeat(320),
          },
        },
      ]);
      const now = performance.now();
      if (now >= from && now < until) counted++;
    }
  };
  await Promise.all(Array.from({ length: connections }, lane));
  return counted / seconds;
}

process.on('message', ({ seconds, warmUpSeconds, connections }) => {
  appendFor(seconds, warmUpSeconds, connections).then(
    (perSecond) => process.send({ perSecond }),
    (error) => process.send({ failed: String(error) }),
  );
});
process.on('SIGTERM', () => process.exit(0));
process.send('ready');
