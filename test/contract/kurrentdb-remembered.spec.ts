import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { catalogue, joinCatalogues } from '#core/kernel/catalogue.js';
import type { Event, Occasion } from '#core/kernel/event.js';
import { newId, type StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { model } from '#core/kernel/model.js';
import { START } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { Turns } from '#core/kernel/requested.js';
import { Codec } from '#core/ledger/codec.js';
import { sampleStream } from '#core/ledger/contract/samples.js';
import { KurrentLedger } from '#core/ledger/kurrentdb/kurrentdb.ledger.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { MemoryTimeMarks } from '#core/ledger/memory/time-marks.js';
import type { EventStore } from '#core/ledger/port.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { FaultServer } from '../support/kurrentdb/fault-server.js';

// What is awaited are answers, and some faults take as long as a call may; not times.
jest.setTimeout(60_000);

type Raised = Event<'Raised', { readonly to: number }>;

const counterEvents = catalogue<Raised>({ Raised: { version: 1, says: { en: '', de: '' } } });
const counter = model<Raised>()({
  name: 'counter',
  initial: { at: 0 },
  evolve: { Raised: (_, { data }) => ({ at: data.to }) },
});

/** One more than it is: who decides on what is out of date records a number twice. */
const raise = step(counter, ({ at }) => [{ type: 'Raised' as const, data: { to: at + 1 } }]);
const raiseOnceTo = (to: number) =>
  step(counter, ({ at }) => (at === to ? [] : [{ type: 'Raised' as const, data: { to } }]));
const raiseFrom = (from: number) =>
  step(counter, ({ at }) => {
    if (at !== from) throw new Refused('conflict', 'not-there', `it is at ${at}`);
    return [{ type: 'Raised' as const, data: { to: from + 1 } }];
  });

const occasion = (): Occasion => ({
  occurredAt: '2026-03-01T12:00:00.000Z' as Instant,
  actor: { kind: 'service', id: 'key_1' },
  source: 'web-form',
  interactionId: newId('rcp'),
  correlationId: 'trace',
});

describe('a stream that a process on KurrentDB remembers', () => {
  let server: FaultServer;
  let opened: KurrentLedger[];
  /** Whoever sets marks follows the log, and would see what others append. */
  let marksAreAsked: Promise<undefined>;
  let stopWaiting: () => void;
  let ledger: Ledger;
  /** Another process, which appends in between. */
  let other: Ledger;
  let stream: StreamName;

  const openStore = (appendDeadline = 20_000): KurrentLedger => {
    const store = new KurrentLedger({
      connectionString: server.url,
      streamPrefix: 'remembered-',
      timeMarks: Object.assign(new MemoryTimeMarks(), { last: () => marksAreAsked }),
      patience: 1_000,
      readDeadline: 20_000,
      appendDeadline,
    });
    opened.push(store);
    return store;
  };
  const ledgerOn = (store: EventStore) =>
    new Ledger(store, new Codec(joinCatalogues(counterEvents), new MemoryVault()));
  const start = async (nodes: number) => {
    server = await FaultServer.start({ nodes });
    // What others append is then seen by nobody who does not ask for it.
    server.faults.set({ kind: 'silent', calls: ['subscribe'] });
    marksAreAsked = new Promise((resolve) => (stopWaiting = () => resolve(undefined)));
    opened = [];
    ledger = ledgerOn(openStore());
    other = ledgerOn(openStore());
    stream = sampleStream();
  };
  const stop = async () => {
    stopWaiting();
    server.faults.clear();
    await Promise.all(opened.map((store) => store.close()));
    await server.stop();
  };
  beforeEach(() => start(1));
  afterEach(() => stop());

  const numbers = async (): Promise<number[]> =>
    (await ledgerOn(openStore()).read(stream)).map(({ data }) => (data as Raised['data']).to);

  test('is decided on without being read', async () => {
    await ledger.transact(stream, occasion(), [raise]);
    server.faults.set({ kind: 'unavailable', calls: ['readStream'] });
    for (const revision of [1, 2])
      expect(await ledger.transact(stream, occasion(), [raise])).toMatchObject({ revision });
    server.faults.clear();
    expect(await numbers()).toEqual([1, 2, 3]);
  });

  test('is read where another process appended in between', async () => {
    await ledger.transact(stream, occasion(), [raise]);
    await other.transact(stream, occasion(), [raise]);
    await ledger.transact(stream, occasion(), [raise]);
    await other.transact(stream, occasion(), [raise]);
    expect(await numbers()).toEqual([1, 2, 3, 4]);
  });

  test('tells no caller what is not true any more', async () => {
    const at = occasion();
    await ledger.transact(stream, occasion(), [raise]);
    await other.transact(stream, at, [raise]);
    // Another process has recorded it.
    expect(await ledger.transact(stream, at, [raise])).toMatchObject({
      replayed: true,
      revision: 1,
    });
    await other.transact(stream, occasion(), [raise]);
    // There was nothing to record at 2, and is at 3.
    expect(await ledger.transact(stream, occasion(), [raiseOnceTo(2)])).toMatchObject({
      revision: 3,
    });
    await other.transact(stream, occasion(), [raise]);
    // It was refused at 2, and is not at 3.
    expect(await ledger.transact(stream, occasion(), [raiseFrom(3)])).toMatchObject({
      revision: 5,
    });
    await other.transact(stream, occasion(), [raise]);
    await expect(
      ledger.transact(stream, occasion(), [raise], { ifRevision: 5 }),
    ).rejects.toMatchObject({
      code: 'revision-mismatch',
      more: { evidence: { expected: 5, actual: 6 } },
    });
    await expect(
      ledger.transact(stream, occasion(), [raise], { ifRevision: 6 }),
    ).resolves.toMatchObject({ revision: 7 });
    expect(await numbers()).toEqual([1, 2, 3, 2, 3, 4, 5, 6]);
  });

  test('costs nobody the turn among appends to other streams', async () => {
    const turns = new Turns();
    await other.transact(stream, occasion(), [raise]);
    const [first, second] = await Promise.all(
      [stream, sampleStream()].map((one) =>
        ledger.transact(one, occasion(), [raise], { turn: turns.next() }),
      ),
    );
    expect([first?.revision, second?.revision]).toEqual([1, 0]);
    expect(Number(first?.position)).toBeLessThan(Number(second?.position));
  });

  test('holds what was appended where the answer was lost, once', async () => {
    ledger = ledgerOn(openStore(4_000));
    const at = occasion();
    await ledger.transact(stream, occasion(), [raise]);
    const heal = server.faults.set({ kind: 'unavailable', calls: ['append'], written: true });
    await expect(ledger.transact(stream, at, [raise])).rejects.toMatchObject({
      code: 'outcome-unknown',
    });
    heal();
    expect(await ledger.transact(stream, at, [raise])).toMatchObject({
      replayed: true,
      revision: 1,
    });
    expect(await ledger.transact(stream, occasion(), [raise])).toMatchObject({ revision: 2 });
    expect(await numbers()).toEqual([1, 2, 3]);
  });

  test('stays true where another node leads from now on', async () => {
    await stop();
    await start(3);
    await ledger.transact(stream, occasion(), [raise]);
    server.elect(1);
    await ledger.transact(stream, occasion(), [raise]);
    await other.transact(stream, occasion(), [raise]);
    server.elect(2);
    await server.stopNode(1);
    await ledger.transact(stream, occasion(), [raise]);
    expect(await numbers()).toEqual([1, 2, 3, 4]);
  });

  test('is forgotten where the log has lost the end of it', async () => {
    await ledger.transact(stream, occasion(), [raise]);
    const kept = server.log.records.length;
    await ledger.transact(stream, occasion(), [raise]);
    await ledger.transact(stream, occasion(), [raise]);
    server.log.truncate(kept);
    await server.restartNode();
    expect(await ledger.transact(stream, occasion(), [raise])).toMatchObject({ revision: 1 });
    expect(await numbers()).toEqual([1, 2]);
  });

  test('is forgotten before others go on where it ends no more, by who asks for the end of the log', async () => {
    await ledger.transact(stream, occasion(), [raise]);
    const kept = server.log.records.length;
    await ledger.transact(stream, occasion(), [raise]);
    server.log.truncate(kept);
    await server.restartNode();
    await ledger.readAll(START, { limit: 1 });
    await other.transact(stream, occasion(), [raiseOnceTo(7)]);
    await ledger.transact(stream, occasion(), [raise]);
    expect(await numbers()).toEqual([1, 7, 8]);
  });

  describe('in the hands of a twin', () => {
    const twinOf = (changed: (store: KurrentLedger) => Partial<EventStore>): Ledger => {
      const store = openStore();
      return ledgerOn(Object.assign(Object.create(store) as EventStore, changed(store)));
    };

    test('that appends wherever the stream ends, records a number twice', async () => {
      const twin = twinOf((store) => ({
        append: (request) => store.append({ ...request, expected: { kind: 'any' } }),
      }));
      await twin.transact(stream, occasion(), [raise]);
      await other.transact(stream, occasion(), [raise]);
      await twin.transact(stream, occasion(), [raise]);
      expect(await numbers()).toEqual([1, 2, 2]);
    });

    test('that takes it for the present, says what is not true any more', async () => {
      const twin = twinOf((store) => ({
        read: (name, { fromRevision = 0 } = {}) =>
          Promise.resolve(store.remembered(name).slice(fromRevision)),
      }));
      const at = occasion();
      await twin.transact(stream, occasion(), [raise]);
      await other.transact(stream, at, [raise]);
      expect(await twin.transact(stream, occasion(), [raiseOnceTo(1)])).toMatchObject({
        events: [],
        revision: 0,
      });
      await expect(twin.transact(stream, at, [raise])).rejects.toMatchObject({ code: 'conflict' });
    });

    test('that forgets nothing, is at odds with a log that lost something', async () => {
      let kept: ReturnType<KurrentLedger['remembered']> = [];
      const twin = twinOf(() => ({ remembered: () => kept }));
      await twin.transact(stream, occasion(), [raise]);
      const length = server.log.records.length;
      await twin.transact(stream, occasion(), [raise]);
      kept = await openStore().read(stream);
      server.log.truncate(length);
      await server.restartNode();
      await other.transact(stream, occasion(), [raiseOnceTo(7)]);
      await twin.transact(stream, occasion(), [raise]);
      expect(await numbers()).toEqual([1, 7, 3]);
    });
  });
});
