import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { catalogue, joinCatalogues } from '#core/kernel/catalogue.js';
import type { Event, Occasion, Recorded } from '#core/kernel/event.js';
import { newId, ownerOf, type StreamName } from '#core/kernel/ids.js';
import { type Instant, instantOf, systemClock } from '#core/kernel/instant.js';
import { model } from '#core/kernel/model.js';
import { erased, type Pii } from '#core/kernel/pii.js';
import { START } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { Turns } from '#core/kernel/requested.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { CannotDecode, Codec } from './codec.js';
import { ensureCreated, ledgerIdOf } from './created.js';
import { Ledger, type Step, step, type StreamGuard } from './ledger.js';
import { ledgerEvents } from './ledger.events.js';
import { MemoryLedger } from './memory/memory.ledger.js';
import {
  type AppendRequest,
  type EventStore,
  LedgerCorrupt,
  LedgerUnavailable,
  OutcomeUnknown,
} from './port.js';
import { sampleEvent, sampleStream } from './contract/samples.js';

type Raised = Event<'Raised', { readonly by: number; readonly why?: Pii<string> }>;
type Closed = Event<'Closed', { readonly reason: string }>;
type CounterEvent = Raised | Closed;

const counterEvents = catalogue<CounterEvent>({
  Raised: { version: 1, sealed: { why: 'evidence' }, says: { en: '', de: '' } },
  Closed: { version: 1, says: { en: '', de: '' } },
});

const counter = model<CounterEvent>()({
  name: 'counter',
  initial: { sum: 0 },
  evolve: {
    Raised: ({ sum }, { data }) => ({ sum: sum + data.by }),
    Closed: (state) => state,
  },
});

const raise = (by: number, why?: string) =>
  step(counter, () => [{ type: 'Raised' as const, data: { by, why } }]);
const raiseTo = (wanted: number) =>
  step(counter, ({ sum }) =>
    sum >= wanted ? [] : [{ type: 'Raised' as const, data: { by: wanted - sum } }],
  );

const occasion = (from: Partial<Occasion> = {}): Occasion => ({
  occurredAt: '2026-03-01T12:00:00.000Z' as Instant,
  actor: { kind: 'service', id: 'key_1' },
  source: 'web-form',
  interactionId: newId('rcp'),
  correlationId: 'trace',
  ...from,
});

const notClosed: StreamGuard = {
  category: 'subject',
  check: (history) => {
    if (history.some(({ type }) => type === 'Closed'))
      throw new Refused('gone', 'closed', 'it is closed');
  },
};

describe('the ledger', () => {
  let store: MemoryLedger;
  let vault: MemoryVault;
  let ledger: Ledger;
  let stream: StreamName;
  const codec = () => new Codec(joinCatalogues(counterEvents, ledgerEvents), vault);
  beforeEach(() => {
    store = new MemoryLedger();
    vault = new MemoryVault();
    ledger = new Ledger(store, codec());
    stream = sampleStream();
  });

  /** Another writer's event: goes in before whatever is being decided now. */
  const rival = (): void => {
    const event = sampleEvent(stream, { type: 'Raised', data: { by: 100 } });
    void store.append({ stream, expected: { kind: 'any' }, events: [event] });
  };

  /** The same store, with one of its answers changed. */
  const storeThat = (changed: Partial<EventStore>): EventStore =>
    Object.assign(Object.create(store) as EventStore, changed);

  describe('a transaction', () => {
    test('records all facts of all steps together, with the occasion in each', async () => {
      const at = occasion({
        receivedAt: '2026-03-03T12:00:00.000Z' as Instant,
        declaredBy: { kind: 'subject', assurance: 'login' },
        provenance: { importId: 'imp', line: 7 },
        causationId: 'cause',
      });
      const outcome = await ledger.transact(stream, at, [raise(1), raise(2)]);
      const found = await ledger.read(stream);
      expect(found).toMatchObject([
        { ...at, type: 'Raised', version: 1, stream, revision: 0, data: { by: 1 } },
        { ...at, type: 'Raised', version: 1, stream, revision: 1, data: { by: 2 } },
      ]);
      const [first, second] = found as [Recorded, Recorded];
      expect(outcome).toEqual({
        revision: 1,
        position: second.position,
        recordedAt: second.recordedAt,
        events: [first, second].map(({ id, type, revision, position }) => ({
          id,
          type,
          revision,
          position,
        })),
        replayed: false,
      });
      for (const { salt } of [first, second])
        expect(Buffer.from(salt, 'base64url')).toHaveLength(16);
      expect(first.salt).not.toBe(second.salt);
    });

    test('decides every step on the stream as it was before', async () => {
      await ledger.transact(stream, occasion(), [raise(3)]);
      await ledger.transact(stream, occasion(), [raiseTo(5), raiseTo(6)]);
      expect((await ledger.read(stream)).map(({ data }) => data)).toEqual([
        { by: 3 },
        { by: 2 },
        { by: 3 },
      ]);
    });

    test("takes a fact's own time before the occasion's, and keeps nothing else that came along", async () => {
      const own = '2025-01-01T00:00:00.000Z' as Instant;
      const late = step(counter, () => [
        { type: 'Raised' as const, data: { by: 1 }, occurredAt: own },
      ]);
      const more = { ...occasion(), apiKey: 'clk_secret' };
      await ledger.transact(stream, more, [late, raise(1)]);
      const [first, second] = await ledger.read(stream);
      expect([first?.occurredAt, second?.occurredAt]).toEqual([own, more.occurredAt]);
      expect(first).not.toHaveProperty('apiKey');
    });

    test('seals personal fields under the owner of the stream', async () => {
      await ledger.transact(stream, occasion(), [raise(1, 'because')]);
      const events = await ledger.read(stream);
      expect(events[0]?.data).toMatchObject({ why: { sealed: expect.any(String) } });
      expect((await ledger.open(events))[0]?.data).toEqual({ by: 1, why: 'because' });
      await vault.destroy(ownerOf(stream));
      expect((await ledger.open(events))[0]?.data).toEqual({ by: 1, why: erased });
    });

    test('without facts records nothing and says where that was decided', async () => {
      const first = await ledger.transact(stream, occasion(), [raise(5)]);
      const none = await ledger.transact(stream, occasion(), [raiseTo(5)]);
      expect(none).toEqual({ ...first, events: [] });
      expect(await ledger.read(stream)).toHaveLength(1);
      const empty = await ledger.transact(sampleStream(), occasion(), [raiseTo(0)]);
      expect(empty).toMatchObject({ revision: -1, position: START, events: [], replayed: false });
    });

    test('that was recorded before is not decided again', async () => {
      const at = occasion();
      const first = await ledger.transact(stream, at, [raise(1), raise(2)]);
      await ledger.transact(stream, occasion(), [raise(3)]);
      const never = step(counter, () => {
        throw new Refused('conflict', 'never', 'decided again');
      });
      const again = await ledger.transact(stream, at, [never], { ifRevision: 99 });
      expect(again).toEqual({ ...first, replayed: true });
      expect(await ledger.read(stream)).toHaveLength(3);
    });

    test('made many times at once records once', async () => {
      const at = occasion();
      const outcomes = await Promise.all(
        Array.from({ length: 5 }, () => ledger.transact(stream, at, [raise(1)])),
      );
      expect(outcomes.filter(({ replayed }) => !replayed)).toHaveLength(1);
      const other = new Ledger(store, codec());
      const more = await Promise.all(
        [ledger, other].map((one) => one.transact(stream, at, [raise(1)])),
      );
      expect(more.every(({ replayed }) => replayed)).toBe(true);
      expect(await ledger.read(stream)).toHaveLength(1);
    });

    test('at a revision that is not the present one is refused with both', async () => {
      await ledger.transact(stream, occasion(), [raise(1)], { ifRevision: undefined });
      await ledger.transact(stream, occasion(), [raise(1)], { ifRevision: 0 });
      const refused = ledger.transact(stream, occasion(), [raise(1)], { ifRevision: 0 });
      await expect(refused).rejects.toMatchObject({
        kind: 'precondition',
        code: 'revision-mismatch',
        more: { evidence: { expected: 0, actual: 1 } },
      });
      const fresh = ledger.transact(sampleStream(), occasion(), [raise(1)], { ifRevision: 0 });
      await expect(fresh).rejects.toMatchObject({ code: 'revision-mismatch' });
      expect(await ledger.read(stream)).toHaveLength(2);
    });

    test('of one process waits for the one before it on the same stream', async () => {
      let decided = 0;
      const counting = step(counter, ({ sum }) => {
        decided++;
        return [{ type: 'Raised' as const, data: { by: sum + 1 } }];
      });
      await Promise.all(
        Array.from({ length: 6 }, () => ledger.transact(stream, occasion(), [counting])),
      );
      expect(decided).toBe(6);
      expect((await ledger.read(stream)).map(({ data }) => data)).toEqual(
        [1, 2, 4, 8, 16, 32].map((by) => ({ by })),
      );
    });
  });

  describe('when another writer came in between', () => {
    test('decides anew', async () => {
      let decided = 0;
      const racing = step(counter, ({ sum }) => {
        if (decided++ === 0) rival();
        return [{ type: 'Raised' as const, data: { by: sum + 1 } }];
      });
      const outcome = await ledger.transact(stream, occasion(), [racing]);
      expect(decided).toBe(2);
      expect(outcome.revision).toBe(1);
      expect((await ledger.read(stream)).map(({ data }) => data)).toEqual([
        { by: 100 },
        { by: 101 },
      ]);
    });

    test('three times, and then gives up with nothing written', async () => {
      let decided = 0;
      const racing = step(counter, () => {
        decided++;
        rival();
        return [{ type: 'Raised' as const, data: { by: 1 } }];
      });
      const refused = ledger.transact(stream, occasion(), [racing]);
      await expect(refused).rejects.toMatchObject({ kind: 'conflict', code: 'conflict' });
      expect(decided).toBe(4);
      expect(
        (await ledger.read(stream)).every(({ correlationId }) => correlationId !== 'trace'),
      ).toBe(true);
    });

    test('keeps to the revision that the caller asked for', async () => {
      await ledger.transact(stream, occasion(), [raise(1)]);
      const racing = step(counter, () => {
        rival();
        return [{ type: 'Raised' as const, data: { by: 1 } }];
      });
      await expect(
        ledger.transact(stream, occasion(), [racing], { ifRevision: 0 }),
      ).rejects.toMatchObject({
        code: 'revision-mismatch',
        more: { evidence: { expected: 0, actual: 1 } },
      });
    });
  });

  describe('in one row with others', () => {
    const turns = new Turns();
    const inTurn = async (one: Step, from: Partial<Occasion> = {}) => {
      const turn = turns.next();
      return ledger.transact(stream, occasion(from), [one], { turn }).finally(() => turn.done());
    };
    const numbers = async () =>
      (await ledger.read(stream)).map(({ data }) => (data as { by: number }).by);

    test('is decided on what the row has just appended, without reading it', async () => {
      let reads = 0;
      const read: EventStore['read'] = (...asked) => {
        reads++;
        return store.read(...asked);
      };
      ledger = new Ledger(storeThat({ read }), codec());
      // However slow the machine is: all of it happens within a moment.
      const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now());
      const doubling = step(counter, ({ sum }) => [
        { type: 'Raised' as const, data: { by: sum + 1 } },
      ]);
      for (let n = 0; n < 4; n++) await inTurn(doubling);
      clock.mockRestore();
      expect(reads).toBe(1);
      expect(await numbers()).toEqual([1, 2, 4, 8]);
    });

    test('is decided anew where others came in between, and keeps nothing that was refused', async () => {
      await inTurn(raise(1));
      rival();
      expect(await inTurn(raise(2))).toMatchObject({ revision: 2 });
      rival();
      const onlyToTen = step(counter, ({ sum }) => {
        if (sum >= 10) throw new Refused('conflict', 'too-much', 'more than ten');
        return [{ type: 'Raised' as const, data: { by: 4 } }];
      });
      await expect(inTurn(onlyToTen)).rejects.toMatchObject({ code: 'too-much' });
      expect(await inTurn(raise(8))).toMatchObject({ revision: 4 });
      expect(await numbers()).toEqual([1, 100, 2, 100, 8]);
    });

    test('is found again as it was recorded', async () => {
      const interactionId = newId('rcp');
      const first = await inTurn(raise(1), { interactionId });
      expect(await inTurn(raise(1), { interactionId })).toEqual({ ...first, replayed: true });
      expect(await numbers()).toEqual([1]);
    });
  });

  describe('guards', () => {
    const close = step(counter, () => [{ type: 'Closed' as const, data: { reason: 'x' } }]);
    const refusing = step(counter, () => {
      throw new Refused('conflict', 'refused', 'no');
    });

    test('see what happened and what is to be recorded, in their category', async () => {
      const seen: unknown[] = [];
      const watching: StreamGuard = {
        category: 'subject',
        check: (history, facts, models) =>
          void seen.push([history.length, facts.map(({ type }) => type), models]),
      };
      const guarded = new Ledger(store, codec(), [watching]);
      await guarded.transact(stream, occasion(), [raise(1), raise(1)]);
      await guarded.transact(stream, occasion(), [raiseTo(2)]);
      await guarded.transact(sampleStream('topic'), occasion(), [raise(1)]);
      await expect(guarded.transact(stream, occasion(), [refusing])).rejects.toMatchObject({
        code: 'refused',
      });
      expect(seen).toEqual([
        [0, ['Raised', 'Raised'], ['counter', 'counter']],
        [2, [], ['counter']],
        [2, [], ['counter']],
      ]);
    });

    test('come before what a decision says, and after what was recorded before', async () => {
      const guarded = new Ledger(store, codec(), [notClosed]);
      const at = occasion();
      await guarded.transact(stream, at, [raise(1)]);
      await guarded.transact(stream, occasion(), [close]);
      for (const steps of [[raise(1)], [refusing], [raiseTo(0)]])
        await expect(guarded.transact(stream, occasion(), steps)).rejects.toMatchObject({
          code: 'closed',
        });
      expect(await guarded.transact(stream, at, [raise(1)])).toMatchObject({ replayed: true });
      expect(await guarded.read(stream)).toHaveLength(2);
    });

    test('tell more than a destroyed key where the stream says why', async () => {
      const guarded = new Ledger(store, codec(), [notClosed]);
      await guarded.transact(stream, occasion(), [raise(1, 'clear')]);
      const racing = step(counter, () => {
        void vault.destroy(ownerOf(stream));
        const event = sampleEvent(stream, { type: 'Closed', data: { reason: 'x' } });
        void store.append({ stream, expected: { kind: 'any' }, events: [event] });
        return [{ type: 'Raised' as const, data: { by: 1, why: 'clear' } }];
      });
      await expect(guarded.transact(stream, occasion(), [racing])).rejects.toMatchObject({
        code: 'closed',
      });
      await expect(ledger.transact(stream, occasion(), [raise(1, 'clear')])).rejects.toMatchObject({
        kind: 'gone',
        code: 'key-destroyed',
        more: { evidence: { compartment: 'evidence' } },
      });
    });
  });

  describe('when the store fails', () => {
    test.each([
      [new OutcomeUnknown('?'), 'outcome-unknown'],
      [new LedgerUnavailable('!'), 'ledger-unavailable'],
    ])('%s is refused as unavailable, %s', async (error, code) => {
      const append = (_: AppendRequest) => Promise.reject(error);
      const failing = new Ledger(storeThat({ append }), codec());
      const refused = failing.transact(stream, occasion(), [raise(1)]);
      await expect(refused).rejects.toMatchObject({
        name: 'Refused',
        kind: 'unavailable',
        code,
        cause: error,
      });
    });

    test('reads are refused as unavailable too', async () => {
      await store.close();
      for (const read of [
        () => ledger.read(stream),
        () => ledger.readMany([stream]),
        () => ledger.readAll(START, { limit: 1 }),
        () => ledger.head(),
        () => ledger.at(START),
        () => ledger.positionAt(instantOf(0)),
      ])
        await expect(read()).rejects.toMatchObject({
          kind: 'unavailable',
          code: 'ledger-unavailable',
        });
    });

    test('a stream with a hole is read by nobody', async () => {
      for (let round = 0; round < 3; round++) await ledger.transact(stream, occasion(), [raise(1)]);
      const read = async () => (await store.read(stream)).filter(({ revision }) => revision !== 1);
      const holed = new Ledger(storeThat({ read }), codec());
      await expect(holed.read(stream)).rejects.toBeInstanceOf(LedgerCorrupt);
      await expect(holed.transact(stream, occasion(), [raise(1)])).rejects.toThrow(
        'has no revision 1',
      );
    });
  });

  describe('reading', () => {
    const broken = async (): Promise<void> => {
      const other = sampleStream();
      const events = [sampleEvent(other, { type: 'Strange' })] as const;
      await store.append({ stream: other, expected: { kind: 'none' }, events: [...events] });
    };

    test('delivers what lies before an event that nobody can read, and stops there', async () => {
      await ledger.transact(stream, occasion(), [raise(1), raise(2)]);
      await broken();
      await ledger.transact(stream, occasion(), [raise(3)]);
      const page = await ledger.readAll(START, { limit: 10 });
      expect(page.events.map(({ data }) => data)).toEqual([{ by: 1 }, { by: 2 }]);
      expect(page.scannedTo).toBe('2');
      await expect(ledger.readAll(page.scannedTo, { limit: 10 })).rejects.toBeInstanceOf(
        CannotDecode,
      );

      const delivered: Recorded[] = [];
      const following = (async () => {
        const { signal } = new AbortController();
        for await (const { events } of ledger.follow(START, { limit: 10, signal }))
          delivered.push(...events);
      })();
      await expect(following).rejects.toMatchObject({ name: 'CannotDecode', position: '3' });
      expect(delivered).toEqual(page.events);
    });

    test('follows, folds several streams, and finds the head and a place', async () => {
      const { position, recordedAt } = await ledger.transact(stream, occasion(), [raise(1)]);
      const other = sampleStream();
      const last = await ledger.transact(other, occasion(), [raise(2)]);
      const many = await ledger.readMany([stream, other], { upTo: position });
      expect([many.get(stream)?.length, many.get(other)?.length]).toEqual([1, 0]);
      expect(await ledger.head()).toMatchObject({
        position: last.position,
        id: last.events[0]?.id,
      });
      expect(await ledger.at(position)).toMatchObject({ data: { by: 1 } });
      expect(await ledger.at(START)).toBeUndefined();
      expect(['1', '2']).toContain(await ledger.positionAt(recordedAt));

      const stop = new AbortController();
      const found: Recorded[] = [];
      for await (const { events } of ledger.follow(START, { limit: 10, signal: stop.signal })) {
        found.push(...events);
        if (found.length === 2) stop.abort();
      }
      expect(found).toEqual([...(await ledger.read(stream)), ...(await ledger.read(other))]);
    });
  });

  describe('its creation', () => {
    test('is the first event of the log, made once', async () => {
      expect(await ledgerIdOf(ledger)).toBeUndefined();
      const others = Array.from({ length: 4 }, () => new Ledger(store, codec()));
      const ids = await Promise.all(others.map((one) => ensureCreated(one, systemClock)));
      expect(new Set(ids).size).toBe(1);
      expect(ids[0]).toMatch(/^led_/);
      await ledger.transact(stream, occasion(), [raise(1)]);
      expect(await ensureCreated(ledger)).toBe(ids[0]);
      const { events } = await ledger.readAll(START, { limit: 10 });
      expect(events.map(({ type }) => type)).toEqual(['LedgerCreated', 'Raised']);
    });

    test('is refused for a log that begins with something else', async () => {
      await ledger.transact(stream, occasion(), [raise(1)]);
      await expect(ensureCreated(ledger)).rejects.toThrow('does not begin with LedgerCreated');
    });
  });
});
