import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StreamName } from '#core/kernel/ids.js';
import {
  BEGINNING,
  END_OF_TIME,
  type Instant,
  instantOf,
  millisecondsOf,
} from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { describeAgainstModel } from './model.js';
import { describeInParallel } from './parallel.js';
import { NOTHING_FOUND, OrderCheck } from './order-check.js';
import {
  type Appended,
  type AppendRequest,
  EventIdReused,
  type EventStore,
  type Expected,
  LedgerCorrupt,
  LedgerUnavailable,
  type NewEvent,
  type StoredEvent,
  WrongExpectedRevision,
} from '../port.js';
import { sampleEvent, sampleEvents, sampleStream } from './samples.js';

export interface StoreUnderTest {
  readonly store: EventStore;
  /** The same log, as another process sees it. */
  readonly other?: EventStore;
  cleanup(): Promise<void>;
  /** Takes away whatever tells readers that the log grew, for the whole suite that follows. */
  loseNotifications?(): Promise<unknown>;
  /** Whether positions run on one by one. */
  readonly gapless: boolean;
  /** Whether events carry the clock of their writer, and the ledger's time is the latest along the log. */
  readonly writersClock?: boolean;
}

const ANY: Expected = { kind: 'any' };
const NONE: Expected = { kind: 'none' };
const EXISTS: Expected = { kind: 'exists' };
const exact = (revision: number): Expected => ({ kind: 'exact', revision });

/** Every MUST of the port, for any adapter. */
export function describeEventStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let made: StoreUnderTest;
    let store: EventStore;
    beforeAll(async () => {
      made = await make();
      store = made.store;
    });
    afterAll(() => made.cleanup());

    const append = (
      stream: StreamName,
      expected: Expected,
      ...events: [NewEvent, ...NewEvent[]]
    ): Promise<Appended> => store.append({ stream, expected, events });

    const streamWith = async (count: number): Promise<[StreamName, NewEvent[], Appended]> => {
      const stream = sampleStream();
      const events = sampleEvents(stream, count);
      return [stream, events, await append(stream, NONE, ...events)];
    };

    const end = async (): Promise<Position> => (await store.head())?.position ?? START;

    const all = async (after: Position): Promise<StoredEvent[]> => {
      const found: StoredEvent[] = [];
      for (let from = after; ;) {
        const page = await store.readAll(from, { limit: 50 });
        found.push(...page.events);
        if (page.events.length < 50) return found;
        from = page.scannedTo;
      }
    };

    describe('expected revision', () => {
      const table: [string, number, Expected, boolean][] = [
        ['no stream', 0, NONE, true],
        ['no stream', 0, exact(0), false],
        ['no stream', 0, exact(5), false],
        ['no stream', 0, EXISTS, false],
        ['no stream', 0, ANY, true],
        ['one event', 1, NONE, false],
        ['one event', 1, exact(0), true],
        ['one event', 1, exact(1), false],
        ['one event', 1, EXISTS, true],
        ['one event', 1, ANY, true],
        ['three events', 3, NONE, false],
        ['three events', 3, exact(0), false],
        ['three events', 3, exact(2), true],
        ['three events', 3, exact(3), false],
        ['three events', 3, EXISTS, true],
        ['three events', 3, ANY, true],
      ];
      test.each(table)('%s (%i): %j is met: %s', async (_, count, expected, met) => {
        const [stream] = count > 0 ? await streamWith(count) : [sampleStream()];
        const before = await end();
        const appending = append(stream, expected, ...sampleEvents(stream, 2));
        if (met) {
          const appended = await appending;
          expect(appended.events.map(({ revision }) => revision)).toEqual([count, count + 1]);
          expect(appended.revision).toBe(count + 1);
          expect(appended.position).toBe(appended.events[1]?.position);
          expect(appended.repeated).toBe(false);
          expect(await store.read(stream)).toHaveLength(count + 2);
        } else {
          const actual = count > 0 ? count - 1 : undefined;
          await expect(appending).rejects.toEqual(
            new WrongExpectedRevision(stream, expected, actual),
          );
          await expect(appending).rejects.toMatchObject({ stream, expected, actual });
          expect(await end()).toBe(before);
        }
      });

      test('of writers who expect the same revision exactly one is served', async () => {
        const [stream] = await streamWith(1);
        const results = await Promise.allSettled(
          Array.from({ length: 10 }, () => append(stream, exact(0), sampleEvent(stream))),
        );
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        for (const result of results)
          if (result.status === 'rejected')
            expect(result.reason).toBeInstanceOf(WrongExpectedRevision);
        expect(await store.read(stream)).toHaveLength(2);
      });

      test('writers who append at what they read lose nothing', async () => {
        const [stream] = await streamWith(1);
        const served: number[] = [];
        await Promise.all(
          Array.from({ length: 8 }, async () => {
            for (let wanted = 5; wanted > 0;) {
              const last = (await store.read(stream)).at(-1) as StoredEvent;
              const appending = append(stream, exact(last.revision), sampleEvent(stream));
              const appended = await appending.catch((error: unknown) => error);
              if (appended instanceof WrongExpectedRevision) continue;
              expect(appended).toMatchObject({ revision: last.revision + 1 });
              served.push(last.revision + 1);
              wanted--;
            }
          }),
        );
        const revisions = Array.from({ length: 40 }, (_, index) => index + 1);
        expect(served.sort((a, b) => a - b)).toEqual(revisions);
        expect(await store.read(stream)).toHaveLength(41);
      });

      test('any never conflicts', async () => {
        const stream = sampleStream();
        const appended = await Promise.all(
          Array.from({ length: 20 }, () => append(stream, ANY, sampleEvent(stream))),
        );
        expect(appended.map(({ revision }) => revision).sort((a, b) => a - b)).toEqual(
          Array.from({ length: 20 }, (_, revision) => revision),
        );
      });
    });

    describe('repetitions', () => {
      const modes: [string, Expected][] = [
        ['none', NONE],
        ['exact, as it was', exact(0)],
        ['exact, wrong', exact(99)],
        ['exists', EXISTS],
        ['any', ANY],
      ];
      test.each(modes)('get the first result for ever: %s', async (_, expected) => {
        const [stream, [start]] = await streamWith(1);
        const events = sampleEvents(stream, 3);
        const first = await append(stream, exact(0), ...events);
        const others = await Promise.all(
          Array.from({ length: 5 }, () => append(stream, ANY, sampleEvent(stream))),
        );
        expect(others).toHaveLength(5);
        const before = await end();
        const again = await append(stream, expected, ...events);
        expect(again).toEqual({ ...first, repeated: true });
        expect((await append(stream, expected, start as NewEvent)).revision).toBe(0);
        expect(await end()).toBe(before);
      });

      test.each(modes)('also of any contiguous part: %s', async (_, expected) => {
        const [stream, events, first] = await streamWith(4);
        for (let from = 0; from < 4; from++)
          for (let to = from + 1; to <= 4; to++) {
            const part = events.slice(from, to) as [NewEvent, ...NewEvent[]];
            const again = await append(stream, expected, ...part);
            expect(again.repeated).toBe(true);
            expect(again.events).toEqual(first.events.slice(from, to));
            expect(again.revision).toBe(to - 1);
            expect(again.recordedAt).toBe(first.recordedAt);
          }
      });

      test('also where the events came in two appends', async () => {
        const stream = sampleStream();
        const [a, b, c] = sampleEvents(stream, 3) as [NewEvent, NewEvent, NewEvent];
        const one = await append(stream, NONE, a);
        await streamWith(1);
        const two = await append(stream, exact(0), b, c);
        const again = await append(stream, NONE, a, b, c);
        expect(again).toEqual({ ...two, events: [...one.events, ...two.events], repeated: true });
      });

      test.each(modes)('all orders but the first are refused: %s', async (_, expected) => {
        const [stream, [a, b, c]] = await streamWith(3);
        const before = await end();
        for (const order of [
          [a, c, b],
          [b, a, c],
          [b, c, a],
          [c, a, b],
          [c, b, a],
          [a, c],
          [c, a],
        ]) {
          const events = order as [NewEvent, ...NewEvent[]];
          const appending = append(stream, expected, ...events);
          await expect(appending).rejects.toEqual(
            new EventIdReused(stream, events[0].id, 'partial-overlap'),
          );
        }
        expect(await end()).toBe(before);
      });

      test.each(modes)('a batch of which a part is stored is refused: %s', async (_, expected) => {
        const [stream, [a, b]] = (await streamWith(2)) as [
          StreamName,
          [NewEvent, NewEvent],
          Appended,
        ];
        const fresh = sampleEvent(stream);
        for (const [events, culprit] of [
          [[b, fresh], b],
          [[fresh, a], a],
          [[a, fresh, b], a],
          [[a, b, fresh], a],
        ] as [[NewEvent, ...NewEvent[]], NewEvent][]) {
          const appending = append(stream, expected, ...events);
          await expect(appending).rejects.toEqual(
            new EventIdReused(stream, culprit.id, 'partial-overlap'),
          );
          await expect(appending).rejects.toMatchObject({ reason: 'partial-overlap' });
        }
        expect(await store.read(stream)).toHaveLength(2);
      });

      test.each(modes)('the same id with other content is refused: %s', async (_, expected) => {
        const [stream, [a, b]] = (await streamWith(2)) as [
          StreamName,
          [NewEvent, NewEvent],
          Appended,
        ];
        const changed = sampleEvent(stream, { id: b.id, salt: 'another' });
        for (const events of [[changed], [a, changed], [changed, sampleEvent(stream)]]) {
          const appending = append(stream, expected, ...(events as [NewEvent, ...NewEvent[]]));
          await expect(appending).rejects.toEqual(new EventIdReused(stream, b.id, 'other-content'));
          await expect(appending).rejects.toMatchObject({ reason: 'other-content' });
        }
        expect(await store.read(stream)).toHaveLength(2);
      });

      test('an id twice in one append is refused', async () => {
        const stream = sampleStream();
        const event = sampleEvent(stream);
        await expect(append(stream, ANY, event, event)).rejects.toEqual(
          new EventIdReused(stream, event.id, 'partial-overlap'),
        );
        expect(await store.read(stream)).toEqual([]);
      });

      test('an id of another stream is free', async () => {
        const [, [taken]] = await streamWith(1);
        const stream = sampleStream();
        const appended = await append(stream, NONE, sampleEvent(stream, { id: taken?.id }));
        expect(appended.repeated).toBe(false);
      });

      test('of the same append made many times at once one writes', async () => {
        const stream = sampleStream();
        const events = sampleEvents(stream, 3);
        const results = await Promise.all(
          Array.from({ length: 10 }, () => append(stream, NONE, ...events)),
        );
        expect(results.filter(({ repeated }) => !repeated)).toHaveLength(1);
        expect(new Set(results.map(({ position }) => position)).size).toBe(1);
        expect(await store.read(stream)).toHaveLength(3);
      });
    });

    describe('appends that travel together', () => {
      test('have a verdict each', async () => {
        const [taken, [known], first] = await streamWith(1);
        const requests: AppendRequest[] = Array.from({ length: 40 }, (_, index) => {
          const stream = sampleStream();
          switch (index) {
            case 11:
              return { stream: taken, expected: NONE, events: sampleEvents(taken, 1) };
            case 17: {
              const changed = sampleEvent(taken, { id: known?.id, salt: 'another' });
              return { stream: taken, expected: ANY, events: [changed] };
            }
            case 23:
              return { stream: taken, expected: NONE, events: [known as NewEvent] };
            default:
              return { stream, expected: NONE, events: sampleEvents(stream, 1 + (index % 3)) };
          }
        });
        const results = await Promise.allSettled(requests.map((request) => store.append(request)));
        for (const [index, result] of results.entries()) {
          const { stream, events } = requests[index] as AppendRequest;
          if (index === 11)
            expect(result).toMatchObject({ reason: { name: 'WrongExpectedRevision' } });
          else if (index === 17)
            expect(result).toMatchObject({ reason: { name: 'EventIdReused' } });
          else if (index === 23)
            expect(result).toMatchObject({ value: { ...first, repeated: true } });
          else {
            expect(result).toMatchObject({
              value: { revision: events.length - 1, repeated: false },
            });
            expect(await store.read(stream)).toHaveLength(events.length);
          }
        }
        expect(await store.read(taken)).toHaveLength(1);
      });

      test('work in their order where they are of one stream', async () => {
        const stream = sampleStream();
        const results = await Promise.allSettled([
          append(stream, NONE, sampleEvent(stream)),
          append(stream, NONE, sampleEvent(stream)),
          append(stream, exact(0), ...sampleEvents(stream, 2)),
          append(stream, exact(0), sampleEvent(stream)),
          append(stream, EXISTS, sampleEvent(stream)),
          append(stream, exact(3), sampleEvent(stream)),
        ]);
        expect(
          results.map((result) =>
            result.status === 'fulfilled' ? result.value.revision : result.reason.actual,
          ),
        ).toEqual([0, 0, 2, 2, 3, 4]);
        expect(results.map(({ status }) => status === 'fulfilled')).toEqual([
          true,
          false,
          true,
          false,
          true,
          true,
        ]);
      });

      test('are also served as bulk work', async () => {
        const appended = await Promise.all(
          Array.from({ length: 300 }, async () => {
            const stream = sampleStream();
            return store.append({
              stream,
              expected: NONE,
              events: sampleEvents(stream, 2),
              bulk: true,
            });
          }),
        );
        expect(new Set(appended.map(({ position }) => position)).size).toBe(300);
      });
    });

    describe('what is stored', () => {
      test('comes back bit for bit', async () => {
        const [stream, events, { recordedAt }] = await streamWith(3);
        const wanted = events.map(({ content }, revision) => content.at(recordedAt, revision));
        const [ways, after] = [await store.read(stream), (await all(START)).slice(-3)];
        for (const found of [ways, after])
          expect(found.map(({ bytes }) => Buffer.from(bytes))).toEqual(wanted);
        const last = ways.at(-1) as StoredEvent;
        expect(await store.at(last.position)).toEqual(last);
        expect((await store.readMany([stream])).get(stream)).toEqual(ways);
      });

      test('may be large', async () => {
        const stream = sampleStream();
        const event = sampleEvent(stream, { data: { text: 'ü'.repeat(29_000) } });
        const { recordedAt } = await append(stream, NONE, event);
        const [found] = await store.read(stream);
        expect(Buffer.from((found as StoredEvent).bytes)).toEqual(event.content.at(recordedAt, 0));
      });

      test('has times that never decrease along positions', async () => {
        await Promise.all(Array.from({ length: 50 }, () => streamWith(2)));
        const log = await all(START);
        const times = log.map(({ bytes }) => timeIn(bytes) as Instant);
        if (!made.writersClock) expect(times).toEqual([...times].sort());
        for (let here = times.length - 1; here >= 0; here -= 37) {
          const time = times.slice(0, here + 1).reduce((a, b) => (a > b ? a : b));
          const last = times.findIndex((one) => one > time) - 1;
          expect(await store.positionAt(time)).toBe(log.at(last < 0 ? -1 : last)?.position);
        }
      });

      test('is refused where no store could keep it', async () => {
        const stream = sampleStream();
        const event = sampleEvent(stream);
        for (const name of ['', 'subject', 'Subject-1', 'subject-\u0000', 'subject-ä'])
          await expect(append(name as StreamName, ANY, event)).rejects.toThrow(TypeError);
        const nameless = { ...event, id: 'evt_1' as NewEvent['id'] };
        await expect(append(stream, ANY, nameless)).rejects.toThrow(TypeError);
        await expect(append(stream, exact(-1), event)).rejects.toThrow(TypeError);
      });
    });

    describe('reading', () => {
      test('a stream from a revision on', async () => {
        const [stream] = await streamWith(4);
        const revisions = async (fromRevision: number) =>
          (await store.read(stream, { fromRevision })).map(({ revision }) => revision);
        expect(await revisions(0)).toEqual([0, 1, 2, 3]);
        expect(await revisions(2)).toEqual([2, 3]);
        expect(await revisions(4)).toEqual([]);
        expect(await store.read(sampleStream())).toEqual([]);
      });

      test('a stream piece by piece', async () => {
        const [stream] = await streamWith(5);
        const piece = async (fromRevision: number, limit: number) =>
          (await store.read(stream, { fromRevision, limit })).map(({ revision }) => revision);
        expect(await piece(0, 2)).toEqual([0, 1]);
        expect(await piece(2, 2)).toEqual([2, 3]);
        expect(await piece(4, 2)).toEqual([4]);
        expect(await piece(5, 2)).toEqual([]);
        expect(await piece(0, 5)).toEqual([0, 1, 2, 3, 4]);
        expect(await store.read(sampleStream(), { limit: 1 })).toEqual([]);
      });

      test('what is remembered of a stream from its first event on', async () => {
        const [stream] = await streamWith(3);
        const isBeginning = async () => {
          const remembered = store.remembered?.(stream) ?? [];
          expect(remembered).toEqual((await store.read(stream)).slice(0, remembered.length));
        };
        await isBeginning();
        await store.read(stream, { fromRevision: 1 });
        await isBeginning();
        await append(stream, exact(2), ...sampleEvents(stream, 2));
        await isBeginning();
        if (made.other)
          await made.other.append({ stream, expected: exact(4), events: sampleEvents(stream, 2) });
        await isBeginning();
        await store.read(stream, { fromRevision: 6 });
        await isBeginning();
        expect(store.remembered?.(sampleStream()) ?? []).toEqual([]);
      });

      test('several streams up to a position', async () => {
        const [one] = await streamWith(2);
        const [two, , { position }] = await streamWith(2);
        await append(one, exact(1), sampleEvent(one));
        const missing = sampleStream();
        const asked = [two, missing, one];
        const now = await store.readMany(asked);
        expect([...now.keys()].sort()).toEqual([...asked].sort());
        expect(asked.map((stream) => now.get(stream)?.length)).toEqual([2, 0, 3]);
        const then = await store.readMany(asked, { upTo: position });
        expect(asked.map((stream) => then.get(stream)?.length)).toEqual([2, 0, 2]);
        expect(then.get(one)).toEqual((await store.read(one)).slice(0, 2));
        expect(await store.readMany([])).toEqual(new Map());
      });

      test('the log page by page, each event once and in order', async () => {
        const before = await end();
        const written = await Promise.all(Array.from({ length: 25 }, () => streamWith(3)));
        const found: StoredEvent[] = [];
        for (let after = before; ;) {
          const page = await store.readAll(after, { limit: 7 });
          expect(page.events.length).toBeLessThanOrEqual(7);
          if (page.events.length > 0) expect(page.scannedTo).toBe(page.events.at(-1)?.position);
          found.push(...page.events);
          if (page.events.length < 7) break;
          after = page.scannedTo;
        }
        const positions = found.map(({ position }) => position);
        expect(positions).toEqual([...positions].sort(comparePositions));
        const expected = written.flatMap(([, , { events }]) =>
          events.map(({ position }) => position),
        );
        expect(positions).toEqual(expected.sort(comparePositions));
        expect(await store.readAll(await end(), { limit: 7 })).toEqual({
          events: [],
          scannedTo: await end(),
        });
      });

      test('the log by categories, telling how far it was scanned', async () => {
        const before = await end();
        const place = async (category: string): Promise<Position> => {
          const stream = sampleStream(category);
          return (await append(stream, NONE, sampleEvent(stream))).position;
        };
        const [purpose, , notice, access] = [
          await place('purpose'),
          await place('subject'),
          await place('notice'),
          await place('access'),
          await place('subject'),
        ] as [Position, Position, Position, Position, Position];
        const last = await end();
        const found = async (limit: number, ...categories: string[]) => {
          const page = await store.readAll(before, { limit, categories });
          return [...page.events.map(({ position }) => position), page.scannedTo];
        };
        expect(await found(9, 'purpose', 'notice')).toEqual([purpose, notice, last]);
        expect(await found(1, 'purpose', 'notice')).toEqual([purpose, purpose]);
        expect(await found(2, 'purpose', 'notice')).toEqual([purpose, notice, notice]);
        expect(await found(9, 'access')).toEqual([access, last]);
        expect(await found(9, 'access', 'notice')).toEqual([notice, access, last]);
        expect(await found(9, 'purpos', 'topic')).toEqual([last]);
        expect((await found(9, 'subject')).length).toBe(3);
        const beyond = await store.readAll(last, { limit: 9, categories: ['purpose'] });
        expect(beyond).toEqual({ events: [], scannedTo: last });
      });

      test('the head, an event by its position, and nothing where there is none', async () => {
        const [stream, events, appended] = await streamWith(2);
        expect(await store.head()).toEqual({
          position: appended.position,
          id: events[1]?.id,
          recordedAt: appended.recordedAt,
        });
        expect(await store.at(appended.position)).toMatchObject({ stream, revision: 1 });
        expect(await store.at(START)).toBeUndefined();
        expect(await store.at('9999999999999999999' as Position)).toBeUndefined();
      });

      test('the position at a time', async () => {
        const one = await streamWith(1);
        await new Promise((resolve) => setTimeout(resolve, 5));
        const two = await streamWith(1);
        const [early, late] = [one[2], two[2]];
        expect(await store.positionAt(late.recordedAt)).toBe(late.position);
        const between = instantOf(millisecondsOf(late.recordedAt) - 1);
        expect(between >= early.recordedAt).toBe(true);
        expect(await store.positionAt(between)).toBe(early.position);
        expect(await store.positionAt(END_OF_TIME)).toBe(await end());
        expect(await store.positionAt(BEGINNING)).toBe(START);
        expect(await store.positionAt(instantOf(Date.parse('2001-01-01')))).toBe(START);
      });
    });

    describe('order under load', () => {
      test('16 writers: a reader who polls meanwhile skips nothing', async () => {
        const before = await end();
        const check = new OrderCheck(made.gapless, before);
        let writing = true;
        const reader = (async () => {
          for (let after = before, quiet = false; ;) {
            const page = await store.readAll(after, { limit: 20 });
            for (const event of page.events) check.saw(event.position, idIn(event.bytes));
            after = page.scannedTo;
            if (page.events.length === 0 && quiet) return;
            quiet = !writing && page.events.length === 0;
          }
        })();
        await Promise.all(
          Array.from({ length: 16 }, async () => {
            for (let round = 0; round < 40; round++) {
              const stream = sampleStream();
              const events = sampleEvents(stream, 1 + (round % 3));
              const appended = await append(stream, NONE, ...events);
              for (const [index, { position }] of appended.events.entries())
                check.wrote(position, events[index]?.id as string);
            }
          }),
        );
        writing = false;
        await reader;
        expect(check.findings()).toEqual(NOTHING_FOUND);
        const { acknowledged, delivered } = check.counts;
        expect(delivered).toBe(acknowledged);
        expect(acknowledged).toBeGreaterThan(1_000);
      });

      test('later appends have later positions', async () => {
        let last = await end();
        for (let round = 0; round < 20; round++) {
          const [, , { events }] = await streamWith(2);
          for (const { position } of events) {
            expect(comparePositions(position, last)).toBeGreaterThan(0);
            last = position;
          }
        }
      });
    });

    describe('following', () => {
      /** Follows until `wanted` holds; what was delivered. */
      const followUntil = async (
        after: Position,
        wanted: (found: readonly StoredEvent[], scannedTo: Position) => boolean,
        options: { limit?: number; categories?: string[] } = {},
      ): Promise<StoredEvent[]> => {
        const stop = new AbortController();
        const found: StoredEvent[] = [];
        const page = { limit: 10, ...options, signal: stop.signal };
        for await (const { events, scannedTo } of store.follow(after, page)) {
          found.push(...events);
          if (wanted(found, scannedTo)) stop.abort();
        }
        return found;
      };

      test('delivers what was there and what comes, in order', async () => {
        const before = await end();
        const [one] = await streamWith(15);
        const following = followUntil(before, (found) => found.length >= 25);
        await new Promise((resolve) => setTimeout(resolve, 50));
        const [two] = await streamWith(10);
        const found = await following;
        expect(found).toEqual([...(await store.read(one)), ...(await store.read(two))]);
      });

      test('delivers only the categories asked for, and says how far it is', async () => {
        const before = await end();
        const stream = sampleStream('purpose');
        await append(stream, NONE, ...sampleEvents(stream, 2));
        const [, , { position }] = await streamWith(3);
        const found = await followUntil(before, (_, scannedTo) => scannedTo === position, {
          categories: ['purpose'],
        });
        expect(found).toEqual(await store.read(stream));
      });

      test('ends by abort while nothing comes, also where it was aborted before', async () => {
        const stop = new AbortController();
        const ending = (async () => {
          const pages = [];
          for await (const page of store.follow(await end(), { limit: 5, signal: stop.signal }))
            pages.push(page);
          return pages;
        })();
        await new Promise((resolve) => setTimeout(resolve, 30));
        stop.abort();
        expect(await ending).toEqual([]);
        for await (const page of store.follow(START, { limit: 5, signal: stop.signal }))
          throw new Error(`delivered ${page.scannedTo}`);
      });

      test('stops where the log ends before what was read', async () => {
        const beyond = `${await end()}0` as Position;
        await expect(followUntil(beyond, () => false)).rejects.toBeInstanceOf(LedgerCorrupt);
      });

      test('delivers within a second though every notification is lost', async () => {
        await made.loseNotifications?.();
        const writer = made.other ?? store;
        const before = await end();
        const following = followUntil(before, (found) => found.length >= 1);
        await new Promise((resolve) => setTimeout(resolve, 100));
        const stream = sampleStream();
        const events = sampleEvents(stream, 1);
        const began = performance.now();
        await writer.append({ stream, expected: NONE, events });
        expect(await following).toEqual(await store.read(stream));
        expect(performance.now() - began).toBeLessThan(1_000);
      });
    });

    describeAgainstModel(() => store);

    describeInParallel(
      () => (made.other ? [store, made.other] : [store]),
      () => made.gapless,
    );

    test('a closed store says that it is', async () => {
      const other = await make();
      const following = (async () => {
        const { signal } = new AbortController();
        for await (const page of other.store.follow(START, { limit: 5, signal })) void page;
      })();
      const ended = expect(following).rejects.toBeInstanceOf(LedgerUnavailable);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await other.store.close();
      const stream = sampleStream();
      const request = { stream, expected: ANY, events: sampleEvents(stream, 1) };
      await expect(other.store.append(request)).rejects.toBeInstanceOf(LedgerUnavailable);
      await expect(other.store.read(stream)).rejects.toBeInstanceOf(LedgerUnavailable);
      await ended;
      await other.cleanup();
    });
  });
}

function fieldIn(bytes: Uint8Array, field: 'id' | 'recordedAt'): string {
  const event = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, string>;
  return event[field] as string;
}

export function idIn(bytes: Uint8Array): string {
  return fieldIn(bytes, 'id');
}

export function timeIn(bytes: Uint8Array): string {
  return fieldIn(bytes, 'recordedAt');
}
