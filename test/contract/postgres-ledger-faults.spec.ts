import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from '@jest/globals';
import pg from 'pg';
import type { StreamName } from '#core/kernel/ids.js';
import { END_OF_TIME } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import {
  type Appended,
  LedgerCorrupt,
  LedgerUnavailable,
  type NewEvent,
  OutcomeUnknown,
  type StoredEvent,
} from '#core/ledger/port.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { sampleEvent, sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { type LedgerDatabase, ledgerDatabase } from './ledger-database.js';

// A machine that others use as well.
jest.setTimeout(60_000);

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe('the ledger in PostgreSQL, when something breaks', () => {
  let database: LedgerDatabase;
  let store: PostgresLedger;
  beforeAll(async () => {
    database = await ledgerDatabase();
    store = database.open();
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  const request = (stream: StreamName, ...events: [NewEvent, ...NewEvent[]]) => ({
    stream,
    expected: { kind: 'none' } as const,
    events,
  });

  const recordOne = async (through = store): Promise<StreamName> => {
    const stream = sampleStream();
    await through.append(request(stream, sampleEvent(stream)));
    return stream;
  };

  /** Holds the turn, as another process that appends does; call what is returned to give it back. */
  const holdTurn = async (): Promise<() => Promise<void>> => {
    const other = new pg.Client({ connectionString: database.url });
    await other.connect();
    await other.query('begin; select from ledger.turn for update');
    return () => other.end();
  };

  describe('between us and the database', () => {
    let proxy: FaultProxy;
    let through: PostgresLedger;
    beforeEach(async () => {
      const proxied = await FaultProxy.before(database.url);
      proxy = proxied.proxy;
      through = database.open({
        connectionString: proxied.url,
        statementTimeout: 1_000,
        connectTimeout: 1_000,
        deadline: 4_000,
      });
      await recordOne(through);
    });
    afterEach(async () => {
      await through.close();
      await proxy.close();
    });

    for (const fault of ['cut-reply', 'cut-request', 'silent'] as const)
      test(`an append whose answer is lost (${fault}) is answered, and made once`, async () => {
        const before = (await store.head())?.position as Position;
        proxy.set(fault, 'append_events');
        const streams = Array.from({ length: 5 }, () => sampleStream());
        if (fault === 'silent') setTimeout(() => proxy.set('none'), 1_500);
        const appended = await Promise.all(
          streams.map((stream) => through.append(request(stream, ...sampleEvents(stream, 2)))),
        );
        expect(proxy.struck).toBeGreaterThan(0);
        for (const [index, stream] of streams.entries()) {
          const found = await store.read(stream);
          expect(found.map(({ position }) => position)).toEqual(
            appended[index]?.events.map(({ position }) => position),
          );
        }
        const log = await store.readAll(before, { limit: 100 });
        expect(log.events).toHaveLength(10);
      });

    test('an append whose session is lost while it waits for its turn is made once', async () => {
      const before = (await store.head())?.position as Position;
      const giveBack = await holdTurn();
      const stream = sampleStream();
      const appending = through.append(request(stream, ...sampleEvents(stream, 2)));
      await sleep(300);
      proxy.cut();
      await sleep(300);
      await giveBack();
      expect((await appending).revision).toBe(1);
      expect(await store.read(stream)).toHaveLength(2);
      expect((await store.readAll(before, { limit: 100 })).events).toHaveLength(2);
    });

    test('an outcome that can not be learned in time is unknown, and can be asked for later', async () => {
      proxy.set('silent', 'append_events');
      const stream = sampleStream();
      const asked = request(stream, sampleEvent(stream));
      const began = performance.now();
      await expect(through.append(asked)).rejects.toBeInstanceOf(OutcomeUnknown);
      expect(performance.now() - began).toBeLessThan(5_000);
      proxy.set('none');
      const later = await through.append(asked);
      expect(later.revision).toBe(0);
      expect(await store.read(stream)).toHaveLength(1);
    });

    test('a read that meets a broken session is made again', async () => {
      const stream = await recordOne();
      await through.read(stream);
      proxy.set('cut-request');
      expect(await through.read(stream)).toHaveLength(1);
    });

    test('a read that gets no answer ends in time', async () => {
      proxy.set('silent');
      const began = performance.now();
      await expect(through.read(sampleStream())).rejects.toBeInstanceOf(LedgerUnavailable);
      expect(performance.now() - began).toBeLessThan(4_000);
    });
  });

  test('an append that waits too long for its turn is refused, and never written', async () => {
    const impatient = database.open({ statementTimeout: 300 });
    const giveBack = await holdTurn();
    const stream = sampleStream();
    const began = performance.now();
    await expect(impatient.append(request(stream, sampleEvent(stream)))).rejects.toBeInstanceOf(
      LedgerUnavailable,
    );
    expect(performance.now() - began).toBeLessThan(2_000);
    await giveBack();
    await recordOne();
    expect(await store.read(stream)).toEqual([]);
    await impatient.close();
  });

  test('an append that waited for its session too long is refused, and never written', async () => {
    const impatient = database.open({ deadline: 300 });
    const giveBack = await holdTurn();
    const first = sampleStream();
    const second = sampleStream();
    const appends = [impatient.append(request(first, sampleEvent(first)))];
    await sleep(50);
    appends.push(impatient.append(request(second, sampleEvent(second))));
    const [underway, waiting] = await Promise.allSettled(appends);
    expect(underway).toMatchObject({ reason: { name: 'OutcomeUnknown' } });
    expect(waiting).toMatchObject({ reason: { name: 'LedgerUnavailable' } });
    await giveBack();
    await impatient.close();
    expect(await store.read(first)).toHaveLength(1);
    expect(await store.read(second)).toEqual([]);
  });

  test('an abandoned attempt that arrives late writes nothing', async () => {
    const [late, now] = [
      '00000000-0000-4000-8000-000000000001',
      '00000000-0000-4000-8000-000000000002',
    ];
    const call = 'select ledger.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)';
    const nothing = [[], [], [], [], [], [], [1], [], Buffer.alloc(0)];
    await database.owner.query(call, [now, [late], ...nothing]);
    await expect(database.owner.query(call, [late, [], ...nothing])).rejects.toThrow(
      'was abandoned',
    );
  });

  test('a database that is not there is said to be, at once', async () => {
    const lost = new PostgresLedger({ connectionString: 'postgres://postgres@/x?host=/nowhere' });
    await expect(recordOne(lost)).rejects.toBeInstanceOf(LedgerUnavailable);
    await expect(lost.read(sampleStream())).rejects.toBeInstanceOf(LedgerUnavailable);
    await lost.close();
  });

  test('sessions that were ended are replaced', async () => {
    for (let round = 0; round < 5; round++) {
      const stream = await recordOne();
      expect(await store.read(stream)).toHaveLength(1);
      await database.terminate('writer');
      await database.terminate('reader');
    }
  });

  test('a reader who follows hears of what another process appends without polling', async () => {
    const deaf = database.open({ pollEvery: 60_000 });
    const stop = new AbortController();
    const before = (await store.head())?.position as Position;
    const found: StoredEvent[] = [];
    const following = (async () => {
      for await (const page of deaf.follow(before, { limit: 5, signal: stop.signal })) {
        found.push(...page.events);
        if (found.length >= 3) stop.abort();
      }
    })();
    for (let round = 0; round < 3; round++) {
      await sleep(100);
      await recordOne();
    }
    await following;
    await deaf.close();
  });

  test('a reader who follows outlasts it', async () => {
    const before = (await store.head())?.position as Position;
    const stop = new AbortController();
    const found: StoredEvent[] = [];
    const following = (async () => {
      for await (const page of store.follow(before, { limit: 5, signal: stop.signal })) {
        found.push(...page.events);
        if (found.length >= 6) stop.abort();
      }
    })();
    const streams: StreamName[] = [];
    for (let round = 0; round < 6; round++) {
      streams.push(await recordOne());
      await database.terminate('reader');
      await database.terminate('listener');
      await sleep(30);
    }
    await following;
    expect(found.map(({ stream }) => stream)).toEqual(streams);
  });

  test('a statement that the server refuses fails one request and not its neighbours', async () => {
    await database.owner.query(
      `alter table ledger.events add constraint c check (type <> 'Poison')`,
    );
    const requests = Array.from({ length: 9 }, (_, index) => {
      const stream = sampleStream();
      const type = index === 4 ? 'Poison' : 'SampleRecorded';
      return request(stream, sampleEvent(stream), sampleEvent(stream, { type }));
    });
    const results = await Promise.allSettled(requests.map((one) => store.append(one)));
    for (const [index, { stream }] of requests.entries()) {
      expect(results[index]?.status).toBe(index === 4 ? 'rejected' : 'fulfilled');
      expect(await store.read(stream)).toHaveLength(index === 4 ? 0 : 2);
    }
    expect(results[4]).toMatchObject({ reason: { code: '23514' } });
  });
});

describe('bulk work in PostgreSQL', () => {
  let database: LedgerDatabase;
  let store: PostgresLedger;
  beforeAll(async () => {
    database = await ledgerDatabase();
    store = database.open();
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  test('lets an online append pass', async () => {
    let waiting = 0;
    const started = performance.now();
    const bulk = Promise.all(
      Array.from({ length: 1_500 }, async () => {
        waiting++;
        const stream = sampleStream();
        const events = sampleEvents(stream, 5);
        await store.append({ stream, expected: { kind: 'none' }, events, bulk: true });
        waiting--;
      }),
    );
    const waits: number[] = [];
    while (waiting > 0) {
      const stream = sampleStream();
      const events = sampleEvents(stream, 1);
      const began = performance.now();
      await store.append({ stream, expected: { kind: 'none' }, events });
      waits.push(performance.now() - began);
      await sleep(5);
    }
    await bulk;
    const took = performance.now() - started;
    const median = waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)];
    expect(waits.length).toBeGreaterThan(3);
    expect(median).toBeLessThan(took / 10);
  });
});

describe('a log in PostgreSQL that somebody changed', () => {
  let database: LedgerDatabase;
  let store: PostgresLedger;
  beforeEach(async () => {
    database = await ledgerDatabase();
    store = database.open();
    for (let round = 0; round < 10; round++) await recordOne();
  });
  afterEach(async () => {
    await store.close();
    await database.drop();
  });

  const recordOne = async (): Promise<Appended> => {
    const stream = sampleStream();
    const events = sampleEvents(stream, 1);
    return store.append({ stream, expected: { kind: 'none' }, events });
  };

  const withoutTriggers = async (statement: string): Promise<void> => {
    await database.owner.query(`alter table ledger.events disable trigger all; ${statement};
      alter table ledger.events enable always trigger refuse_change`);
  };

  test('stays behind its own last time, whatever the clock says', async () => {
    await withoutTriggers(`update ledger.events set recorded_at = now() + interval '1 day'`);
    const ahead = (await store.head())?.recordedAt;
    expect((await recordOne()).recordedAt).toBe(ahead);
  });

  test('gives back bytes that are no text as they are', async () => {
    await withoutTriggers(String.raw`update ledger.events set bytes = '\xff00fe' where position = 4;
      update ledger.events set bytes = '\x' where position = 5`);
    const { events } = await store.readAll(START, { limit: 100 });
    expect(events).toHaveLength(10);
    expect(events.slice(3, 5).map(({ bytes }) => [...bytes])).toEqual([[0xff, 0x00, 0xfe], []]);
  });

  test('misses events that were removed, when it is read', async () => {
    await withoutTriggers('delete from ledger.events where position = 7');
    const reading = store.readAll(START, { limit: 100 });
    await expect(reading).rejects.toEqual(new LedgerCorrupt('7' as Position, 'is missing'));
    await expect(reading).rejects.toMatchObject({ position: '7' });
    await expect(store.readAll('6' as Position, { limit: 100 })).rejects.toThrow(LedgerCorrupt);
    expect((await store.readAll(START, { limit: 6 })).events).toHaveLength(6);
  });

  test('misses events that were removed, when a time is looked for', async () => {
    await withoutTriggers('delete from ledger.events where position between 2 and 9');
    await expect(store.positionAt(END_OF_TIME)).rejects.toThrow(LedgerCorrupt);
  });

  test('misses events that were removed at its end, when it is followed', async () => {
    const following = (async () => {
      const signal = new AbortController().signal;
      for await (const page of store.follow(START, { limit: 100, signal })) void page;
    })();
    await sleep(100);
    await withoutTriggers('delete from ledger.events where position > 8');
    await expect(following).rejects.toThrow('was read already, but the log ends at 8');
  });
});
