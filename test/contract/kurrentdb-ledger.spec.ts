import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { describeEventStore, type StoreUnderTest } from '#core/ledger/contract/event-store.js';
import { KurrentLedger } from '#core/ledger/kurrentdb/kurrentdb.ledger.js';
import { MemoryTimeMarks } from '#core/ledger/memory/time-marks.js';
import { FaultServer } from '../support/kurrentdb/fault-server.js';
import { writeSystemEvents } from '../support/kurrentdb/system-events.js';

// What is awaited are answers, of a server that others may use as well; not times.
jest.setTimeout(60_000);

/** Milliseconds: what the machine is busy with must not end a call. Deadlines are tested where calls hang. */
const PATIENT = { appendDeadline: 50_000, readDeadline: 30_000, patience: 20_000 };

/** Two ledgers under a name of their own, as two processes would have them. */
function ledgersOn(connectionString: string): Pick<StoreUnderTest, 'store' | 'other' | 'cleanup'> {
  const streamPrefix = `test-${randomUUID()}-`;
  const open = () =>
    new KurrentLedger({
      connectionString,
      streamPrefix,
      timeMarks: new MemoryTimeMarks(),
      ...PATIENT,
    });
  const [store, other] = [open(), open()];
  const cleanup = async () => {
    await Promise.all([store.close(), other.close()]);
  };
  return { store, other, cleanup };
}

describeEventStore('the ledger on KurrentDB, as a server in this process plays it', async () => {
  const server = await FaultServer.start();
  writeSystemEvents(server.log, 100);
  const { store, other, cleanup } = ledgersOn(server.url);
  return {
    store,
    other,
    gapless: false,
    writersClock: true,
    loseNotifications: async () => server.faults.set({ kind: 'silent', calls: ['subscribe'] }),
    cleanup: async () => {
      await cleanup();
      await server.stop();
    },
  };
});

const url = process.env.KURRENTDB_URL;

if (url)
  describeEventStore('the ledger on the KurrentDB server of KURRENTDB_URL', async () => ({
    ...ledgersOn(url),
    gapless: false,
    writersClock: true,
  }));
