import { randomUUID } from 'node:crypto';
import { describe, expect, jest, test } from '@jest/globals';
import { type Compared, compareLogs, copyLog, NOTHING_COMPARED } from '#core/ledger/copy-log.js';
import { describeStoredEvents } from '#core/ledger/contract/copying.js';
import type { StoredEvents } from '#core/ledger/copying.js';
import { KurrentLedger } from '#core/ledger/kurrentdb/kurrentdb.ledger.js';
import { KurrentStoredEvents } from '#core/ledger/kurrentdb/kurrentdb.stored-events.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { MemoryTimeMarks } from '#core/ledger/memory/time-marks.js';
import type { EventStore } from '#core/ledger/port.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { FaultServer } from '../support/kurrentdb/fault-server.js';

// What is awaited are answers, of a server that others may use as well; not times.
jest.setTimeout(60_000);

function placeOn(connectionString: string): { store: EventStore; writer: StoredEvents } {
  const streamPrefix = `test-${randomUUID()}-`;
  return {
    store: new KurrentLedger({ connectionString, streamPrefix, timeMarks: new MemoryTimeMarks() }),
    writer: new KurrentStoredEvents({ connectionString, streamPrefix, patience: 500 }),
  };
}

async function filled(store: EventStore, streams: number): Promise<void> {
  const names = Array.from({ length: streams }, () => sampleStream());
  for (const round of [1, 3, 2])
    await Promise.all(
      names.map((stream) =>
        store.append({ stream, expected: { kind: 'any' }, events: sampleEvents(stream, round) }),
      ),
    );
}

async function compared(source: EventStore, target: EventStore): Promise<Compared> {
  let last = NOTHING_COMPARED;
  for await (const page of compareLogs(source, target, NOTHING_COMPARED, { page: 25 }))
    last = page.compared;
  return last;
}

function describeCopies(name: string, at: () => Promise<{ url: string; stop(): Promise<void> }>) {
  describeStoredEvents(`events taken over ${name}`, async () => {
    const { url, stop } = await at();
    const { store, writer } = placeOn(url);
    const cleanup = async () => {
      await Promise.all([store.close(), writer.close()]);
      await stop();
    };
    return { store, writer, cleanup };
  });

  test(`a log goes there and back again ${name}, with the same digest`, async () => {
    const { url, stop } = await at();
    const { store, writer } = placeOn(url);
    const [source, back] = [new MemoryLedger(), new MemoryLedger()];
    await filled(source, 20);
    expect(await copyLog(source, store, writer, { page: 17 })).toBe(120);
    expect(await copyLog(store, back, back.storedEvents(), { page: 23 })).toBe(120);
    const there = await compared(source, store);
    expect(there.target).toBe((await store.head())?.position);
    expect(await compared(source, back)).toMatchObject({ events: 120, digest: there.digest });
    await Promise.all([store.close(), writer.close()]);
    await stop();
  });
}

describeCopies('on KurrentDB, as a server in this process plays it', async () => {
  const server = await FaultServer.start();
  return { url: server.url, stop: () => server.stop() };
});

const url = process.env.KURRENTDB_URL;
if (url)
  describeCopies('on the KurrentDB server of KURRENTDB_URL', () =>
    Promise.resolve({ url, stop: () => Promise.resolve() }),
  );

describe('a copy to a server that fails', () => {
  const faults = [
    { kind: 'unavailable', written: true },
    { kind: 'unavailable', written: false },
    { kind: 'silent', written: true },
    { kind: 'not-leader' },
    { kind: 'cut', written: true },
  ] as const;

  test.each(faults)('%j', async (fault) => {
    const server = await FaultServer.start();
    const { store, writer } = placeOn(server.url);
    const source = new MemoryLedger();
    await filled(source, 10);
    let appends = 0;
    const disturbed: StoredEvents = {
      append: async (events) => {
        if (appends++ % 2 === 0) server.faults.set({ ...fault, calls: ['append'], times: 1 });
        await writer.append(events);
      },
      close: () => writer.close(),
    };
    await copyLog(source, store, disturbed, { page: 9 });
    expect(server.faults.struck).toBeGreaterThan(2);
    expect(await compared(source, store)).toMatchObject({ events: 60 });
    expect(server.log.records.filter(({ stream }) => stream.startsWith('test-'))).toHaveLength(60);
    await Promise.all([store.close(), writer.close()]);
    await server.stop();
  });
});
