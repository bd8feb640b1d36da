import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type AppendResult, binaryEvent, EventStoreDBClient } from '@eventstore/db-client';
import { canMakeCertificates, certificateIn } from '../support/kurrentdb/certificate.js';
import { FaultServer, type FaultServerOptions } from '../support/kurrentdb/fault-server.js';
import type { Fault } from '../support/kurrentdb/faults.js';
import { writeSystemEvents } from '../support/kurrentdb/system-events.js';
import { until } from '../support/until.js';
import { describeKurrentDbServer } from './kurrentdb-server.js';

const credentials = { username: 'admin', password: 'changeit' };

describeKurrentDbServer('the fault server', async () => {
  const server = await FaultServer.start();
  return { url: server.url, credentials, cleanup: () => server.stop() };
});

const { KURRENTDB_URL: url } = process.env;
if (url) {
  describeKurrentDbServer('the server at KURRENTDB_URL', () =>
    Promise.resolve({ url, credentials, cleanup: () => Promise.resolve() }),
  );
}

describe('the switches of the fault server', () => {
  let server: FaultServer;
  let client: EventStoreDBClient;
  const start = async (options: FaultServerOptions = {}): Promise<void> => {
    server = await FaultServer.start(options);
    client = EventStoreDBClient.connectionString(server.url);
  };
  beforeEach(() => start());
  afterEach(async () => {
    await client.dispose();
    await server.stop();
  });

  const event = () => binaryEvent({ type: 'Something', data: Buffer.from('bytes') });

  /** In a call of its own, which gives up after half a second. */
  const append = (stream: string, deadline = 500): Promise<AppendResult> =>
    client.appendToStream(stream, event(), {
      expectedRevision: 'no_stream',
      credentials,
      deadline,
      requiresLeader: true,
    });

  const read = async (stream: string): Promise<number> => {
    let count = 0;
    for await (const _ of client.readStream(stream)) count++;
    return count;
  };

  const appends: [Fault, string][] = [
    [{ kind: 'silent' }, 'deadline-exceeded'],
    [{ kind: 'end' }, 'unknown'],
    [{ kind: 'duplicate' }, 'unknown'],
    [{ kind: 'unavailable' }, 'unavailable'],
    [{ kind: 'timeout' }, 'timeout'],
    [{ kind: 'not-leader' }, 'not-leader'],
    [{ kind: 'cut' }, 'unavailable'],
    [{ kind: 'slow', delayMs: 1_000 }, 'deadline-exceeded'],
  ];
  describe.each([false, true])('an append that is written: %s', (written) => {
    test.each(appends)('%j', async (fault, type) => {
      server.faults.set({ ...fault, written, times: 1, calls: ['append'] });
      await expect(append('s')).rejects.toMatchObject({ type });
      expect(server.faults.struck).toBe(1);
      const stored = written || fault.kind === 'duplicate';
      expect(server.log.stream('s')).toHaveLength(stored ? 1 : 0);
      expect(await append('other', 5_000)).toMatchObject({ success: true });
    });
  });

  test('an append that is slow is answered', async () => {
    server.faults.set({ kind: 'slow', delayMs: 200 });
    const began = performance.now();
    expect(await append('s', 5_000)).toMatchObject({ success: true, nextExpectedRevision: 0n });
    expect(performance.now() - began).toBeGreaterThan(190);
  });

  test('strike the calls they are set for, so often, so long, and until they are taken away', async () => {
    server.faults.set({ kind: 'unavailable', calls: ['append'], stream: 'a', times: 1 });
    await append('b');
    await expect(append('a')).rejects.toThrow('Too Busy');
    await append('a');
    const takeAway = server.faults.set({ kind: 'unavailable', calls: ['append'] });
    await expect(append('c')).rejects.toThrow('Too Busy');
    takeAway();
    await append('c');
    server.faults.set({ kind: 'unavailable', calls: ['append'], forMs: 300 });
    await expect(append('d')).rejects.toThrow('Too Busy');
    await until('it is over', () =>
      append('d').then(
        () => true,
        () => false,
      ),
    );
  });

  test('a read ends in its midst as if it were complete, or with an error', async () => {
    const events = Array.from({ length: 5 }, event);
    await client.appendToStream('s', events);
    server.faults.set({ kind: 'end', calls: ['readStream'], afterEvents: 3, times: 1 });
    expect(await read('s')).toBe(3);
    server.faults.set({ kind: 'unavailable', calls: ['readStream'], afterEvents: 3, times: 1 });
    await expect(read('s')).rejects.toMatchObject({ type: 'unavailable' });
    server.faults.set({ kind: 'duplicate', calls: ['readStream'], times: 1 });
    expect(await read('s')).toBe(10);
    expect(await read('s')).toBe(5);
  });

  test.each(['end', 'cut'] as const)(
    'a subscription is lost after some events: %s',
    async (kind) => {
      server.faults.set({ kind, calls: ['subscribe'], afterEvents: 2 });
      const heard: string[] = [];
      const subscription = client
        .subscribeToAll({ fromPosition: 'end' })
        .on('data', ({ event }) => heard.push(event?.type ?? ''))
        .on('error', () => heard.push('error'))
        .on('end', () => heard.push('end'));
      await new Promise((resolve) => subscription.once('confirmation', resolve));
      writeSystemEvents(server.log, 3);
      await until('it is lost', () => heard.length === 3);
      expect(heard).toEqual([
        '$statsCollected',
        '$statsCollected',
        kind === 'end' ? 'end' : 'error',
      ]);
    },
  );

  test('a node that is frozen says nothing, and goes on when it is thawed', async () => {
    await append('a');
    server.wire().freeze();
    await expect(append('b')).rejects.toMatchObject({ type: 'deadline-exceeded' });
    const appending = append('c', 20_000);
    server.wire().thaw();
    expect(await appending).toMatchObject({ success: true });
  });

  test('a node that was started again has its log, and has forgotten the ids it saw', async () => {
    const again = event();
    await client.appendToStream('s', again, { expectedRevision: 'any', credentials });
    await client.appendToStream('s', again, { expectedRevision: 'any', credentials });
    expect(await read('s')).toBe(1);
    await server.restartNode();
    await until('it is back', () =>
      read('s').then(
        () => true,
        () => false,
      ),
    );
    await client.appendToStream('s', again, { expectedRevision: 'any', credentials });
    expect(await read('s')).toBe(2);
  });

  test('a log that was cut short has lost what it acknowledged', async () => {
    await append('a');
    const kept = server.log.records.length;
    await append('b');
    server.log.truncate(kept);
    expect(await read('a')).toBe(1);
    await expect(read('b')).rejects.toMatchObject({ type: 'stream-not-found' });
  });

  test('of several nodes one leads; who asks another is sent there, and finds the next when it is gone', async () => {
    await client.dispose();
    await server.stop();
    await start({ nodes: 3 });
    await append('a');
    server.elect(1);
    await expect(append('b')).rejects.toMatchObject({ type: 'not-leader' });
    await append('b');
    await server.stopNode(1);
    server.elect(2);
    await until('the leader is found', () =>
      append('c').then(
        () => true,
        () => false,
      ),
    );
    expect(await read('c')).toBe(1);
    const discovering = EventStoreDBClient.connectionString(server.discoveryUrl);
    await discovering.appendToStream('d', event());
    await discovering.dispose();
  });

  const secure = canMakeCertificates ? test : test.skip;
  secure('a secure server asks who calls (needs openssl to make a certificate)', async () => {
    await client.dispose();
    await server.stop();
    const folder = mkdtempSync(join(tmpdir(), 'fault-server-'));
    try {
      const admin = { name: 'admin', password: 'changeit', admin: true };
      const reader = { name: 'reader', password: randomUUID(), admin: false };
      await start({ certificate: certificateIn(folder), users: [admin, reader] });
      await append('s');
      expect(await read('s')).toBe(1);
      const first = async (as: { username: string; password: string }): Promise<unknown> => {
        let found: unknown;
        for await (const one of client.readAll({ maxCount: 1, credentials: as })) found = one;
        return found;
      };
      expect(await first(credentials)).toBeDefined();
      await expect(first({ username: 'admin', password: 'wrong' })).rejects.toMatchObject({
        code: 16,
      });
      await expect(
        first({ username: reader.name, password: reader.password }),
      ).rejects.toMatchObject({ type: 'access-denied' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
