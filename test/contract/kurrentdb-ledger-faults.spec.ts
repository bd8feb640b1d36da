import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  binaryEvent,
  EventStoreDBClient,
  type Position as ServerPosition,
} from '@eventstore/db-client';
import type { StreamName } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import { idIn } from '#core/ledger/contract/event-store.js';
import { Connection } from '#core/ledger/kurrentdb/connection.js';
import { parseConnectionString } from '#core/ledger/kurrentdb/connection-string.js';
import { failureOf, TimedOut } from '#core/ledger/kurrentdb/failure.js';
import { KurrentLedger } from '#core/ledger/kurrentdb/kurrentdb.ledger.js';
import { LedgerClient } from '#core/ledger/kurrentdb/ledger-client.js';
import { allForwards } from '#core/ledger/kurrentdb/read-request.js';
import { Reading } from '#core/ledger/kurrentdb/reading.js';
import { MemoryTimeMarks } from '#core/ledger/memory/time-marks.js';
import {
  NOTHING_FOUND,
  OrderCheck,
  type OrderFindings,
} from '#core/ledger/contract/order-check.js';
import {
  type Appended,
  type AppendRequest,
  type EventStore,
  LedgerCorrupt,
  LedgerUnavailable,
  OutcomeUnknown,
  type StoredEvent,
  WrongExpectedRevision,
} from '#core/ledger/port.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { FaultServer, type FaultServerOptions } from '../support/kurrentdb/fault-server.js';
import type { Fault, FaultKind } from '../support/kurrentdb/faults.js';
import { collectGarbage } from '../support/held-memory.js';
import { until } from '../support/until.js';

// What is awaited are answers, and some faults take as long as a call may; not times.
jest.setTimeout(60_000);

const PREFIX = 'faults-';
/** Milliseconds: one try, then all of a read and all of an append. */
const DEADLINES = { patience: 500, readDeadline: 1_500, appendDeadline: 2_000 };
/** Milliseconds between tries. Without it, one on a ledger that was closed meanwhile would leave nothing else any time. */
const PAUSE = 20;
/** A call may last so much longer than its deadline. */
const GRACE = 1_000;

const LOSSES: FaultKind[] = ['silent', 'end', 'duplicate', 'unavailable', 'timeout', 'cut'];

describe('a ledger on KurrentDB whose server fails', () => {
  let server: FaultServer;
  let store: KurrentLedger;
  let opened: KurrentLedger[];
  const open = (): KurrentLedger => {
    const ledger = new KurrentLedger({
      connectionString: server.url,
      streamPrefix: PREFIX,
      timeMarks: new MemoryTimeMarks(),
      ...DEADLINES,
    });
    opened.push(ledger);
    return ledger;
  };
  const start = async (options: FaultServerOptions = {}): Promise<void> => {
    server = await FaultServer.start(options);
    opened = [];
    store = open();
  };
  const stop = async (): Promise<void> => {
    server.faults.clear();
    await Promise.all(opened.map((ledger) => ledger.close()));
    await server.stop();
  };
  beforeEach(() => start());
  afterEach(() => stop());

  const request = (stream: StreamName, count = 2): AppendRequest => ({
    stream,
    expected: { kind: 'none' },
    events: sampleEvents(stream, count),
  });

  /** Where the server itself holds a stream's events. */
  const placesOf = (stream: StreamName): string[] =>
    server.log.stream(PREFIX + stream).map(({ offset }) => String(offset));

  /** As a caller does that was told to try again with the same ids. */
  const appendAtLast = async (writer: KurrentLedger, asked: AppendRequest): Promise<Appended> => {
    for (;;) {
      try {
        return await writer.append(asked);
      } catch (error) {
        if (!(error instanceof OutcomeUnknown || error instanceof LedgerUnavailable)) throw error;
        await sleep(PAUSE);
      }
    }
  };

  const writeSome = async (): Promise<StreamName> => {
    const stream = sampleStream();
    await appendAtLast(store, request(stream));
    return stream;
  };

  describe('once', () => {
    const faults: [Fault][] = [false, true].flatMap((written) =>
      LOSSES.map((kind): [Fault] => [{ kind, written }]),
    );
    faults.push([{ kind: 'not-leader' }], [{ kind: 'slow', delayMs: 1_000, written: true }]);
    test.each(faults)('an append is answered, and made once: %j', async (fault) => {
      await writeSome();
      server.faults.set({ ...fault, calls: ['append'], times: 1 });
      const stream = sampleStream();
      const asked = request(stream);
      const appended = await store.append(asked);
      expect(server.faults.struck).toBe(1);
      expect(appended.revision).toBe(1);
      expect(appended.events.map(({ position }) => position)).toEqual(placesOf(stream));
      expect(appended.position).toBe(placesOf(stream).at(-1));
      const found = await open().read(stream);
      expect(found.map(({ bytes }) => idIn(bytes))).toEqual(asked.events.map(({ id }) => id));
      expect(await store.append(asked)).toEqual({ ...appended, repeated: true });
    });

    test('an append that was lost, and came too late, is a conflict', async () => {
      const [stream, other] = [await writeSome(), open()];
      const expected = { kind: 'exact', revision: 1 } as const;
      server.faults.set({ kind: 'silent', calls: ['append'], times: 1 });
      const appending = store.append({ stream, expected, events: sampleEvents(stream, 1) });
      const conflict = expect(appending).rejects.toEqual(
        new WrongExpectedRevision(stream, expected, 2),
      );
      await until('the append is lost', () => server.faults.struck === 1);
      await other.append({ stream, expected, events: sampleEvents(stream, 1) });
      await conflict;
      expect(placesOf(stream)).toHaveLength(3);
    });

    const readFaults: [Fault][] = LOSSES.flatMap((kind): [Fault][] => [
      [{ kind }],
      [{ kind, afterEvents: 1 }],
    ]);
    test.each(readFaults)('reads bring everything all the same: %j', async (fault) => {
      const [one, two] = [await writeSome(), await writeSome()];
      const calls = ['readStream', 'readAll'] as const;
      for (const times of [1, 2]) {
        const takeAway = server.faults.set({ ...fault, calls, times });
        expect(await store.read(one)).toHaveLength(2);
        takeAway();
        server.faults.set({ ...fault, calls, times });
        const { events } = await store.readAll(START, { limit: 10 });
        expect(events.map(({ stream }) => stream)).toEqual([one, one, two, two]);
        server.faults.clear();
      }
    });
  });

  describe('for good', () => {
    const kinds: FaultKind[] = [...LOSSES, 'not-leader', 'slow'];

    /** Every call of the port; each rejects with what it does. */
    const everyCall = (ledger: EventStore & { serverVersion?(): Promise<string> }) => {
      const stream = sampleStream();
      return {
        append: () => ledger.append(request(stream)),
        read: () => ledger.read(stream),
        readMany: () => ledger.readMany([stream, sampleStream()]),
        readAll: () => ledger.readAll(START, { limit: 10 }),
        head: () => ledger.head(),
        at: () => ledger.at('700' as Position),
      };
    };

    const endsInTime = async (ledger: KurrentLedger): Promise<void> => {
      const began = performance.now();
      const results = await Promise.all(
        Object.entries(everyCall(ledger)).map(async ([name, call]) => {
          const failure = await call().then(
            () => undefined,
            (error: unknown) => error,
          );
          return { name, failure, took: performance.now() - began };
        }),
      );
      for (const { name, failure, took } of results) {
        const deadline = name === 'append' ? DEADLINES.appendDeadline : DEADLINES.readDeadline;
        expect({ name, late: took > deadline + GRACE }).toEqual({ name, late: false });
        if (failure === undefined || failure instanceof LedgerUnavailable) continue;
        expect(name).toBe('append');
        expect(failure).toBeInstanceOf(OutcomeUnknown);
      }
    };

    test.each(kinds)('every call ends in time, whatever it is: %s', async (kind) => {
      await writeSome();
      server.faults.set({ kind, delayMs: 5_000 });
      await endsInTime(store);
      await endsInTime(open());
      server.faults.clear();
      await until('it is well again', () =>
        writeSome().then(
          () => true,
          () => false,
        ),
      );
    });

    test('every call ends in time while the node is frozen, and when it is gone', async () => {
      await writeSome();
      server.wire().freeze();
      await endsInTime(store);
      server.wire().thaw();
      await writeSome();
      await server.stopNode();
      await endsInTime(store);
      await server.startNode();
      await until('it is well again', () =>
        writeSome().then(
          () => true,
          () => false,
        ),
      );
    });

    test.each(LOSSES)('what was written is not denied, and repeated safely: %s', async (kind) => {
      await writeSome();
      server.faults.set({ kind, calls: ['append'], written: true });
      const stream = sampleStream();
      const asked = request(stream);
      const outcome: unknown = await store.append(asked).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(OutcomeUnknown);
      expect(placesOf(stream)).toHaveLength(2);
      server.faults.clear();
      const later = await store.append(asked);
      expect(later.events.map(({ position }) => position)).toEqual(placesOf(stream));
      expect(placesOf(stream)).toHaveLength(2);
    });

    test('many calls that are tried again at once warn of nothing', async () => {
      await writeSome();
      const warned: Error[] = [];
      const listen = (warning: Error) => void warned.push(warning);
      process.on('warning', listen);
      server.faults.set({ kind: 'unavailable', calls: ['append'], forMs: 300 });
      await Promise.all(
        Array.from({ length: 40 }, () => appendAtLast(store, request(sampleStream()))),
      );
      process.off('warning', listen);
      expect(warned.filter(({ name }) => name === 'MaxListenersExceededWarning')).toEqual([]);
    });

    test('what was refused before it began is said not to be written', async () => {
      await writeSome();
      server.faults.set({ kind: 'unavailable', calls: ['append'] });
      const stream = sampleStream();
      await expect(store.append(request(stream))).rejects.toBeInstanceOf(LedgerUnavailable);
      expect(placesOf(stream)).toEqual([]);
    });

    test('closing ends what hangs', async () => {
      await writeSome();
      server.faults.set({ kind: 'silent' });
      const calls = Object.values(everyCall(store)).map((call) => call());
      const ended = Promise.allSettled(calls);
      await until('they hang', () => server.faults.struck > 0);
      const began = performance.now();
      await store.close();
      for (const { status } of await ended) expect(status).toBe('rejected');
      expect(performance.now() - began).toBeLessThan(DEADLINES.patience + GRACE);
    });

    test('an append just after its connection was closed is an error that says so', async () => {
      const client = new LedgerClient(parseConnectionString(server.url));
      const append = () => {
        const event = binaryEvent({ type: 'Something', data: Buffer.from('bytes') });
        return client.write('closed', [event], undefined, Date.now() + DEADLINES.patience);
      };
      expect(await append()).toMatchObject({ revision: 0 });
      await expect(append()).rejects.toMatchObject({ type: 'wrong-expected-version' });
      await client.end();
      const error: unknown = await append().catch((reason: unknown) => reason);
      expect(error).toMatchObject({ message: 'Channel has been shut down' });
      // Nothing was sent, and it is tried again.
      expect(failureOf(error)).toBe('unavailable');
    });

    test.each([
      { meanwhile: 'others are answered', isKept: true },
      { meanwhile: 'nobody is answered', isKept: false },
    ])('while $meanwhile, a call that hangs: its client is kept: $isKept', async ({ isKept }) => {
      const connection = new Connection(server.url, 1_000);
      try {
        const client = await connection.subscribing();
        let hangs = true;
        const hanging = connection.attempt(1_000, () => new Promise(() => undefined));
        const ended = expect(hanging.finally(() => (hangs = false))).rejects.toThrow(TimedOut);
        while (hangs && isKept)
          await connection.attempt(1_000, (asked, by) => asked.serverVersion(by));
        await ended;
        expect((await connection.subscribing()) === client).toBe(isKept);
      } finally {
        connection.close();
      }
    });

    test('a client without a deadline of its own would be noticed', async () => {
      const bare = EventStoreDBClient.connectionString`${server.url}&defaultDeadline=400`;
      server.faults.set({ kind: 'silent', calls: ['batchAppend'] });
      const event = binaryEvent({ type: 'Something', data: Buffer.from('bytes') });
      const ended = bare.appendToStream('bare', event).then(
        () => 'ended',
        () => 'ended',
      );
      const waited = new Promise((resolve) => setTimeout(resolve, 400 + GRACE, 'still waiting'));
      expect(await Promise.race([ended, waited])).toBe('still waiting');
      await bare.dispose();
    });
  });

  test('a search from the end that ends with nothing, too late to be made again, goes on along the log', async () => {
    const stream = await writeSome();
    const nothing = Buffer.alloc(0);
    const event = { id: randomUUID(), type: 'T', isJson: false, data: nothing, metadata: nothing };
    server.log.append('others', 'any', [event]);
    // A third of a read's deadline is the search's; what is left of it then is less than the pause before another.
    const connection = new Connection(server.url, 30_000);
    const late = [2_900, 2_930, 2_960, 2_980];
    try {
      for (const delayMs of late)
        server.faults.set({ kind: 'end', calls: ['search'], delayMs, times: 1 });
      const readings = late.map(
        () => new Reading(connection, PREFIX, 9_000, () => Promise.resolve(START)),
      );
      const heads = await Promise.all(readings.map((reading) => reading.head()));
      expect(heads.map((head) => head?.position)).toEqual(late.map(() => placesOf(stream).at(-1)));
    } finally {
      connection.close();
    }
  });

  describe('in which others have written much, or little matches', () => {
    /** So many that the server looks at them for longer than all of a read may take. */
    const MANY = 800;
    const writeForeign = () => {
      const nothing = Buffer.alloc(0);
      const event = () => ({
        id: randomUUID(),
        type: 'T',
        isJson: false,
        data: nothing,
        metadata: nothing,
      });
      server.log.append('others', 'any', Array.from({ length: MANY }, event));
    };
    beforeEach(async () => {
      await stop();
      await start({ slowSearch: { window: 20, delayMs: 50 } });
    });

    /** A machine that others use as well may stand still for longer than such a short deadline. */
    const atLast = async <T>(read: () => Promise<T>): Promise<T> => {
      for (;;) {
        try {
          return await read();
        } catch (error) {
          if (!(error instanceof LedgerUnavailable)) throw error;
          await sleep(PAUSE);
        }
      }
    };

    test('the end of the log is found', async () => {
      writeForeign();
      expect(await atLast(() => store.head())).toBeUndefined();
      const stream = sampleStream();
      await appendAtLast(store, request(stream));
      writeForeign();
      // The same one at each try: every ledger that is open searches as well.
      const another = open();
      const head = await atLast(() => another.head());
      expect(head?.position).toBe(placesOf(stream).at(-1));
    }, 240_000);

    test('what lies far apart is found, each once and in order', async () => {
      const [one, two, far] = [sampleStream(), sampleStream(), sampleStream('purpose')];
      await appendAtLast(store, request(one));
      await appendAtLast(store, request(two));
      writeForeign();
      await appendAtLast(store, request(far));
      writeForeign();
      await appendAtLast(store, { ...request(one), expected: { kind: 'exists' } });
      const places = [...placesOf(one), ...placesOf(two), ...placesOf(far)];
      const positions = async (categories?: readonly string[]) => {
        const { events } = await atLast(() => store.readAll(START, { limit: 100, categories }));
        return events.map(({ position }) => position);
      };
      expect(await positions(['purpose'])).toEqual(placesOf(far));
      expect(await positions()).toEqual(places.sort((a, b) => Number(a) - Number(b)));
    }, 240_000);

    test('a single read of it would be noticed', async () => {
      writeForeign();
      await appendAtLast(store, request(sampleStream()));
      const bare = new LedgerClient(parseConnectionString(server.url));
      const search = allForwards(undefined, 10, [PREFIX]);
      const answers = await bare.open(search, Date.now() + DEADLINES.readDeadline);
      const reading = (async () => {
        for await (const answer of answers) if (answer) return answer;
      })();
      await expect(reading).rejects.toThrow(/DEADLINE_EXCEEDED/);
      await bare.end();
    });
  });

  describe('a naive twin', () => {
    /** Tries again as if nothing had been written; every try has ids of its own. */
    const naively = async (stream: string, expectedRevision: 'no_stream' | 'any') => {
      const bare = EventStoreDBClient.connectionString(server.url);
      const credentials = { username: 'admin', password: 'changeit' };
      try {
        for (;;) {
          const event = binaryEvent({ type: 'Something', data: Buffer.from('bytes') });
          const options = { expectedRevision, credentials, deadline: 400 };
          const outcome = await bare.appendToStream(stream, event, options).catch((error) => error);
          if (!(outcome instanceof Error)) return 'written';
          if ((outcome as { type?: string }).type === 'wrong-expected-version') return 'conflict';
        }
      } finally {
        await bare.dispose();
      }
    };

    const exitOf = async (script: string): Promise<number> => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: 'ignore',
      });
      const [code] = (await once(child, 'exit')) as [number];
      return code;
    };

    test('takes its own append for that of another, or makes it twice', async () => {
      const fault = { kind: 'unavailable', calls: ['append'], written: true, times: 1 } as const;
      server.faults.set(fault);
      expect(await naively('a', 'no_stream')).toBe('conflict');
      server.faults.set(fault);
      expect(await naively('b', 'any')).toBe('written');
      expect(server.log.stream('b')).toHaveLength(2);
    });

    test('is ended by an answer that comes twice', async () => {
      const script = `
        import { binaryEvent, EventStoreDBClient } from '@eventstore/db-client';
        const client = EventStoreDBClient.connectionString(${JSON.stringify(server.url)});
        await client.appendToStream('s', binaryEvent({ type: 'T', data: Buffer.from('x') }));
        await new Promise((resolve) => setTimeout(resolve, 500));
        process.exit(0);`;
      expect(await exitOf(script)).toBe(0);
      server.faults.set({ kind: 'duplicate', calls: ['batchAppend'] });
      expect(await exitOf(script)).not.toBe(0);
    });

    test('is ended where its connection is closed just before it appends', async () => {
      const script = (closing: string) => `
        import { binaryEvent, EventStoreDBClient } from '@eventstore/db-client';
        const client = EventStoreDBClient.connectionString(${JSON.stringify(server.url)});
        const credentials = { username: 'admin', password: 'changeit' };
        const append = () =>
          client.appendToStream('s', binaryEvent({ type: 'T', data: Buffer.from('x') }), { credentials });
        await append();
        ${closing}
        void append().catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 500));
        process.exit(0);`;
      expect(await exitOf(script(''))).toBe(0);
      expect(await exitOf(script('(await client.getChannel()).close();'))).not.toBe(0);
    });
  });

  describe('while it is followed', () => {
    type Saw = (position: Position, id: string) => void;

    /** Writes until `round` is done; what readers saw against what writers were told. */
    const underLoad = async (
      read: (saw: Saw, signal: AbortSignal) => Promise<void>,
      disturb: (round: number) => Promise<unknown> | unknown,
      rounds = 12,
    ): Promise<OrderFindings> => {
      const check = new OrderCheck(false);
      const stopped = new AbortController();
      const reading = read((position, id) => check.saw(position, id), stopped.signal);
      let writing = true;
      const writers = Array.from({ length: 4 }, async () => {
        const writer = open();
        while (writing) {
          const asked = request(sampleStream(), 3);
          const appended: Appended | undefined = await appendAtLast(writer, asked);
          for (const [index, { position }] of appended.events.entries())
            check.wrote(position, asked.events[index]?.id as string);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      });
      for (let round = 0; round < rounds || check.counts.acknowledged < 30; round++) {
        await disturb(round);
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      writing = false;
      await Promise.all(writers);
      server.faults.clear();
      const { acknowledged } = check.counts;
      // A reader that skips never comes this far: what it found by then is what it found.
      await until('all is delivered', () => check.counts.delivered >= acknowledged, 8_000).catch(
        () => undefined,
      );
      stopped.abort();
      await reading;
      const stored = server.log.records.filter(({ stream }) => stream.startsWith(PREFIX));
      expect(stored).toHaveLength(acknowledged);
      return check.findings();
    };

    const follow = async (saw: Saw, signal: AbortSignal): Promise<void> => {
      for await (const { events } of store.follow(START, { limit: 20, signal }))
        for (const { position, bytes } of events) saw(position, idIn(bytes));
    };

    const lose = (kind: FaultKind) => (round: number) =>
      server.faults.set({ kind, calls: ['subscribe'], afterEvents: 1 + (round % 7), times: 1 });
    const disturbances: [string, (round: number) => unknown][] = [
      ...LOSSES.map((kind): [string, (round: number) => unknown] => [
        `subscriptions: ${kind}`,
        (round) => {
          lose(kind)(round);
          server.wire().cut();
        },
      ]),
      ['connections are cut', () => server.wire().cut()],
      [
        'the server is started again',
        (round) => (round % 4 === 0 ? server.restartNode() : undefined),
      ],
      [
        'the server is frozen for a while',
        async (round) => {
          if (round % 6 !== 0) return;
          server.wire().freeze();
          await new Promise((resolve) => setTimeout(resolve, 700));
          server.wire().thaw();
        },
      ],
    ];
    test.each(disturbances)('nothing is skipped, doubled or lost: %s', async (_, disturb) => {
      expect(await underLoad(follow, disturb)).toEqual(NOTHING_FOUND);
    });

    test('nor is it where the leader changes', async () => {
      await stop();
      await start({ nodes: 3 });
      const findings = await underLoad(follow, async (round) => {
        if (round % 4 !== 0) return;
        const leader = (round / 4) % 3;
        server.elect((leader + 1) % 3);
        await server.stopNode(leader);
        await new Promise((resolve) => setTimeout(resolve, 300));
        await server.startNode(leader);
      });
      expect(findings).toEqual(NOTHING_FOUND);
    });

    /** Subscribes with the bare client, again and again: from where `resume` says, with whatever comes. */
    const naiveReader =
      (resume: (last: ServerPosition | undefined) => ServerPosition | 'start' | 'end') =>
      async (saw: Saw, signal: AbortSignal): Promise<void> => {
        const bare = EventStoreDBClient.connectionString(server.url);
        let last: ServerPosition | undefined;
        while (!signal.aborted) {
          const subscription = bare.subscribeToAll({ fromPosition: resume(last) });
          const over = new AbortController();
          const lost = new Promise<void>((resolve) => {
            for (const event of ['error', 'end', 'close'])
              subscription.once(event, () => resolve());
            const ending = { once: true, signal: over.signal };
            signal.addEventListener('abort', () => resolve(), ending);
          });
          subscription.on('data', ({ event }) => {
            if (!event?.streamId.startsWith(PREFIX)) return;
            last = event.position;
            saw(String(event.position?.commit) as Position, idIn(event.data as Uint8Array));
          });
          await lost;
          over.abort();
          subscription.removeAllListeners('data').on('error', () => undefined);
        }
        await bare.dispose();
      };

    test('a reader who goes on from the end would be noticed', async () => {
      const reader = naiveReader((last) => (last === undefined ? 'start' : 'end'));
      const { skipped } = await underLoad(reader, () => server.wire().cut());
      expect(skipped.length).toBeGreaterThan(0);
    });

    test('a reader who begins again would be noticed', async () => {
      const { doubled } = await underLoad(
        naiveReader(() => 'start'),
        () => server.wire().cut(),
      );
      expect(doubled.length).toBeGreaterThan(0);
    });

    test('a log that lost what was read already stops who follows it', async () => {
      await writeSome();
      const kept = server.log.records.length;
      await writeSome();
      const found: StoredEvent[] = [];
      const following = (async () => {
        const { signal } = new AbortController();
        for await (const { events } of store.follow(START, { limit: 10, signal }))
          found.push(...events);
      })();
      const stopped = expect(following).rejects.toBeInstanceOf(LedgerCorrupt);
      await until('all is read', () => found.length === 4);
      server.log.truncate(kept);
      await server.restartNode();
      await stopped;
    });

    /** 48 MB of events in pages of fifty, with pauses, while they are written. */
    const COUNT = 2_000;
    const heldWhileReading = async (
      keep: (events: readonly StoredEvent[]) => void,
    ): Promise<{ megabytes: number; delivered: number }> => {
      // The server holds this once, whatever it writes: what grows is on the reader's side.
      const [data, metadata] = [Buffer.alloc(24_000, 'x'), Buffer.alloc(0)];
      const large = () => ({ id: randomUUID(), type: 'Large', isJson: false, data, metadata });
      await writeSome();
      const from = (await store.head())?.position as Position;
      const before = await heldNow();
      let [delivered, most] = [0, 0];
      const stopped = new AbortController();
      const writing = (async () => {
        for (let batch = 0; batch < COUNT / 20; batch++) {
          server.log.append(`${PREFIX}subject-large`, 'any', Array.from({ length: 20 }, large));
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      })();
      for await (const { events } of store.follow(from, { limit: 50, signal: stopped.signal })) {
        keep(events);
        delivered += events.length;
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (delivered % 250 === 0 || delivered === COUNT) {
          most = Math.max(most, (await heldNow()) - before);
        }
        if (delivered === COUNT) stopped.abort();
      }
      await writing;
      return { megabytes: most / 1e6, delivered };
    };

    test('who reads slowly holds little, and misses nothing', async () => {
      const held = await heldWhileReading(() => undefined);
      expect(held.delivered).toBe(COUNT);
      expect(held.megabytes).toBeLessThan(40);
    }, 180_000);

    test('who holds what it reads would be noticed', async () => {
      const kept: StoredEvent[] = [];
      const held = await heldWhileReading((events) => void kept.push(...events));
      expect(kept).toHaveLength(COUNT);
      expect(held.megabytes).toBeGreaterThan(45);
    }, 180_000);
  });
});

/** Bytes of buffers that somebody holds: what nobody does is counted until a thread beside ours has swept it away. */
async function heldNow(): Promise<number> {
  let least = Infinity;
  for (let looks = 0; looks < 3; looks++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
    least = Math.min(least, process.memoryUsage().arrayBuffers);
  }
  return least;
}
