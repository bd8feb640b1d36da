import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type AllStreamRecordedEvent,
  type AllStreamResolvedEvent,
  type AppendExpectedRevision,
  binaryEvent,
  type Credentials,
  type EventData,
  EventStoreDBClient,
  eventTypeFilter,
  type Filter,
  jsonEvent,
  MaxAppendSizeExceededError,
  type Position,
  START,
  StreamNotFoundError,
  streamNameFilter,
  UnknownError,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import { until } from '../support/until.js';

/** Where a server is, and whom it lets append. */
export interface ServerUnderTest {
  readonly url: string;
  readonly credentials: Credentials;
  cleanup(): Promise<void>;
}

/**
 * What our adapter relies on in a KurrentDB server, asked through the bare client. It runs against the fault server and
 * against a real one, so what the fault server pretends is what a server does.
 */
export function describeKurrentDbServer(name: string, make: () => Promise<ServerUnderTest>): void {
  describe(name, () => {
    let made: ServerUnderTest;
    let client: EventStoreDBClient;
    beforeAll(async () => {
      made = await make();
      client = EventStoreDBClient.connectionString(made.url);
    });
    afterAll(async () => {
      await client.dispose();
      await made.cleanup();
    });

    /** The client sends appends with credentials of their own in a call each, all others in one for all. */
    const paths = ['a call each', 'one call for all'] as const;
    type Path = (typeof paths)[number];

    const append = (
      stream: string,
      expectedRevision: AppendExpectedRevision,
      events: EventData[],
      path: Path = 'a call each',
    ) =>
      client.appendToStream(stream, events, {
        expectedRevision,
        ...(path === 'a call each' && { credentials: made.credentials }),
      });

    const streamWith = async (count: number): Promise<[string, EventData[], Position]> => {
      const [stream, events] = [newStream(), newEvents(count)];
      const { position } = await append(stream, 'no_stream', events);
      return [stream, events, position as Position];
    };

    const idsIn = async (stream: string, options = {}): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { event } of client.readStream(stream, options)) ids.push(event?.id ?? '');
      return ids;
    };

    const log = async (
      fromPosition: Position | 'start' | 'end',
      direction: 'forwards' | 'backwards',
      maxCount = 1_000,
    ): Promise<AllStreamRecordedEvent[]> => {
      const found: AllStreamRecordedEvent[] = [];
      for await (const { event } of client.readAll({ fromPosition, direction, maxCount }))
        if (event) found.push(event);
      return found;
    };

    describe.each(paths)('appends (%s)', (path) => {
      const table: [number, AppendExpectedRevision, boolean][] = [
        [0, 'no_stream', true],
        [0, 'any', true],
        [0, 'stream_exists', false],
        [0, 0n, false],
        [0, 3n, false],
        [2, 'no_stream', false],
        [2, 'any', true],
        [2, 'stream_exists', true],
        [2, 0n, false],
        [2, 1n, true],
        [2, 2n, false],
      ];
      test.each(table)('to %i events, expecting %s: %s', async (count, expected, met) => {
        const stream = newStream();
        if (count > 0) await append(stream, 'no_stream', newEvents(count));
        const appending = append(stream, expected, newEvents(2), path);
        if (met) {
          const { success, nextExpectedRevision, position } = await appending;
          expect(success).toBe(true);
          expect(nextExpectedRevision).toBe(BigInt(count + 1));
          expect(position?.commit).toBeGreaterThan(0n);
        } else {
          const error: unknown = await appending.catch((reason: unknown) => reason);
          expect(error).toBeInstanceOf(WrongExpectedVersionError);
          expect(error).toMatchObject({
            streamName: stream,
            expectedVersion: expected,
            actualVersion: count > 0 ? BigInt(count - 1) : 'no_stream',
          });
          if (count > 0) expect(await idsIn(stream)).toHaveLength(count);
        }
      });

      test('the same again at the same revision is the first result, though others came', async () => {
        const [stream, events] = [newStream(), newEvents(3)];
        await append(stream, 'no_stream', newEvents(1), path);
        const first = await append(stream, 0n, events, path);
        await append(stream, 3n, newEvents(2), path);
        expect(await append(stream, 0n, events, path)).toEqual(first);
        const start = await append(stream, 0n, events.slice(0, 2), path);
        expect(start).toMatchObject({ success: true, nextExpectedRevision: 2n });
        const [, second] = await log(start.position as Position, 'forwards', 2);
        expect(second?.revision).toBe(3n);
        expect(await idsIn(stream)).toHaveLength(6);
      });

      test('ids are compared, and nothing else', async () => {
        const stream = newStream();
        const [event] = newEvents(1) as [EventData];
        const first = await append(stream, 'no_stream', [event], path);
        const other = binaryEvent({ id: event.id, type: 'Other', data: Buffer.from('other') });
        expect(await append(stream, 'no_stream', [other], path)).toEqual(first);
      });

      const mismatches: [string, AppendExpectedRevision, (of: EventData[]) => EventData[]][] = [
        ['another id', 'no_stream', () => newEvents(1)],
        [
          'the first is the same, the second is not',
          'no_stream',
          ([a]) => [a as EventData, ...newEvents(1)],
        ],
        [
          'the last is the same, and more follows',
          1n,
          ([, , c]) => [c as EventData, ...newEvents(1)],
        ],
        ['the same elsewhere', 'no_stream', ([, b]) => [b as EventData]],
        [
          'any: the first is the same, the second is not',
          'any',
          ([a]) => [a as EventData, ...newEvents(1)],
        ],
      ];
      test.each(mismatches)('no repetition: %s', async (_, expected, of) => {
        const [stream, events] = await streamWith(3);
        const appending = append(stream, expected, of(events), path);
        await expect(appending).rejects.toMatchObject({
          type: 'wrong-expected-version',
          actualVersion: 2n,
        });
        expect(await idsIn(stream)).toHaveLength(3);
      });

      test('any: the same again is the first result, and written where another stream has it', async () => {
        const [one, two] = [newStream(), newStream()];
        const events = newEvents(2);
        const first = await append(one, 'any', events, path);
        await append(one, 'any', newEvents(1), path);
        expect(await append(one, 'any', events, path)).toEqual(first);
        expect(await append(one, 'stream_exists', events, path)).toEqual(first);
        expect((await append(two, 'any', events, path)).position).not.toEqual(first.position);
      });

      test('at the end of the stream an id is written again', async () => {
        const [stream, events] = await streamWith(1);
        const { nextExpectedRevision } = await append(stream, 0n, events, path);
        expect(nextExpectedRevision).toBe(1n);
        expect(await idsIn(stream)).toEqual([events[0]?.id, events[0]?.id]);
      });

      test('more than a mebibyte at once is refused', async () => {
        const large = { type: 'Large', data: Buffer.alloc(600_000) };
        const stream = newStream();
        const appending = append(
          stream,
          'no_stream',
          [binaryEvent(large), binaryEvent(large)],
          path,
        );
        const error: unknown = await appending.catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(MaxAppendSizeExceededError);
        expect(error).toMatchObject({ maxAppendSize: 1_048_576 });
        await expect(idsIn(stream)).rejects.toBeInstanceOf(StreamNotFoundError);
        await append(stream, 'no_stream', [binaryEvent(large)], path);
      });

      test('of writers who expect the same revision one is served', async () => {
        const [stream] = await streamWith(1);
        const results = await Promise.allSettled(
          Array.from({ length: 10 }, () => append(stream, 0n, newEvents(1), path)),
        );
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await idsIn(stream)).toHaveLength(2);
      });
    });

    describe('reads of a stream', () => {
      test('give back what was written', async () => {
        const stream = newStream();
        const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
        const binary = binaryEvent({ type: 'Bytes', data: bytes, metadata: bytes });
        const json = jsonEvent({ type: 'Json', data: { a: 'ü' }, metadata: { b: 1 } });
        const before = Date.now();
        const { position } = await append(stream, 'no_stream', [binary, json]);
        const found = [];
        for await (const { event } of client.readStream(stream)) found.push(event);
        const [one, two] = found;
        expect(one).toMatchObject({ streamId: stream, revision: 0n, type: 'Bytes', isJson: false });
        expect(one?.id).toBe(binary.id);
        expect(Buffer.from(one?.data as Uint8Array)).toEqual(Buffer.from(bytes));
        expect(Buffer.from(one?.metadata as Uint8Array)).toEqual(Buffer.from(bytes));
        expect(two).toMatchObject({ revision: 1n, type: 'Json', isJson: true, data: { a: 'ü' } });
        expect(two?.metadata).toEqual({ b: 1 });
        expect(Math.abs((two?.created.getTime() ?? 0) - before)).toBeLessThan(60_000);
        expect(two?.position).toEqual(position);
        expect(position?.commit).toBe(position?.prepare);
        expect(one?.position?.commit).toBeLessThan(two?.position?.commit as bigint);
      });

      test('begin and end where they are asked to', async () => {
        const [stream, events] = await streamWith(70);
        const ids = events.map(({ id }) => id);
        expect(await idsIn(stream)).toEqual(ids);
        expect(await idsIn(stream, { fromRevision: 5n, maxCount: 3 })).toEqual(ids.slice(5, 8));
        expect(await idsIn(stream, { fromRevision: 68n, maxCount: 9 })).toEqual(ids.slice(68));
        expect(await idsIn(stream, { fromRevision: 70n })).toEqual([]);
        const direction = 'backwards';
        const back = [...ids].reverse();
        expect(await idsIn(stream, { direction, fromRevision: 'end' })).toEqual(back);
        expect(await idsIn(stream, { direction, fromRevision: 'end', maxCount: 1 })).toEqual([
          ids[69],
        ]);
        expect(await idsIn(stream, { direction, fromRevision: 2n })).toEqual(back.slice(67));
      });

      test('say that there is no such stream', async () => {
        await expect(idsIn(newStream())).rejects.toBeInstanceOf(StreamNotFoundError);
      });
    });

    describe('reads of the log', () => {
      test('forwards begin with the event at the position, backwards with the one before', async () => {
        const [stream, events, last] = await streamWith(40);
        const [first] = await positionsOf(stream);
        const forwards = (await log(first as Position, 'forwards', 40)).map(({ id }) => id);
        expect(forwards).toEqual(events.map(({ id }) => id));
        const backwards = (await log(last, 'backwards', 39)).map(({ id }) => id);
        expect(backwards).toEqual(forwards.slice(0, 39).reverse());
      });

      test('have positions that rise, and lie as far apart as the events are long', async () => {
        const stream = newStream();
        const events = [0, 1_000, 0].map((size) =>
          binaryEvent({ type: 'Sized', data: Buffer.alloc(size) }),
        );
        await append(stream, 'no_stream', events);
        const [a, b, c] = (await positionsOf(stream)) as [Position, Position, Position];
        const [small, large] = [b.commit - a.commit, c.commit - b.commit];
        expect(small).toBeGreaterThan(40n);
        expect(large - small).toBeGreaterThan(990n);
        expect(large - small).toBeLessThan(1_010n);
      });

      test('backwards from the end begin with the last event', async () => {
        const [stream] = await streamWith(3);
        // Somebody else, as the server itself, may have written meanwhile.
        const latest = await log('end', 'backwards', 50);
        const ours = latest.filter(({ streamId }) => streamId === stream);
        expect(ours.map(({ revision }) => revision)).toEqual([2n, 1n, 0n]);
      });

      test('find nothing after the last event, and fail in the middle of another', async () => {
        const [stream, , { commit }] = await streamWith(2);
        const beyond = commit + 1_000_000_000n;
        expect(await log({ commit: beyond, prepare: beyond }, 'forwards')).toEqual([]);
        const [first] = (await positionsOf(stream)) as [Position];
        const within = { commit: first.commit + 7n, prepare: first.commit + 7n };
        await expect(log(within, 'forwards', 1)).rejects.toBeInstanceOf(UnknownError);
      });

      test("bring the server's own events too", async () => {
        const system = (await log('start', 'forwards')).filter(({ type }) => type.startsWith('$'));
        expect(system.length).toBeGreaterThan(0);
        expect(system.map(({ streamId }) => streamId)).not.toContain('$epoch-information');
      });
    });

    describe('catch-up subscriptions', () => {
      interface Heard {
        readonly events: AllStreamResolvedEvent[];
        readonly checkpoints: Position[];
        caughtUp: number;
      }

      /** Listens until `enough`, then unsubscribes. */
      const listen = async (
        from: Position | 'start' | 'end',
        filter: Filter,
        enough: (heard: Heard) => boolean,
        meanwhile: (heard: Heard) => Promise<unknown> = () => Promise.resolve(),
      ): Promise<Heard> => {
        const heard: Heard = { events: [], checkpoints: [], caughtUp: 0 };
        const subscription = client.subscribeToAll({
          fromPosition: from,
          filter: {
            ...filter,
            checkpointReached: (_, position) => void heard.checkpoints.push(position),
          },
        });
        let over = false;
        const failed = new Promise<never>((_, reject) => subscription.once('error', reject));
        subscription
          .on('caughtUp', () => heard.caughtUp++)
          .on('data', (event) => heard.events.push(event));
        try {
          await Promise.race([failed, meanwhile(heard)]);
          await Promise.race([failed, until('heard enough', () => over || enough(heard))]);
        } finally {
          over = true;
          await subscription.unsubscribe();
        }
        return heard;
      };

      const idsOf = ({ events }: Heard): string[] => events.map(({ event }) => event?.id ?? '');

      test('deliver what was there after the position, and what comes', async () => {
        const prefix = newStream();
        const [before, after, live] = [newEvents(3), newEvents(5), newEvents(4)];
        const { position } = await append(`${prefix}-1`, 'no_stream', before);
        await append(newStream(), 'no_stream', newEvents(40));
        await append(`${prefix}-2`, 'no_stream', after);
        const heard = await listen(
          position as Position,
          streamNameFilter({ prefixes: [prefix] }),
          ({ events }) => events.length >= 9,
          async ({ events }) => {
            await until('what was there', () => events.length >= 5);
            await append(newStream(), 'no_stream', newEvents(2));
            await append(`${prefix}-1`, 2n, live);
          },
        );
        expect(idsOf(heard)).toEqual([...after, ...live].map(({ id }) => id));
        expect(heard.caughtUp).toBeGreaterThan(0);
      });

      const filters: [string, (mark: string) => Filter][] = [
        ['prefix of the stream', (mark) => streamNameFilter({ prefixes: ['nothing', mark] })],
        ['expression on the stream', (mark) => streamNameFilter({ regex: `^${mark}-[0-9]$` })],
        ['prefix of the type', (mark) => eventTypeFilter({ prefixes: [`T${mark}`] })],
        ['expression on the type', (mark) => eventTypeFilter({ regex: `${mark}$` })],
      ];
      test.each(filters)('deliver what the filter lets pass: %s', async (_, filter) => {
        const mark = newStream();
        const event = () => binaryEvent({ type: `T${mark}`, data: Buffer.alloc(0) });
        const [one, two] = [event(), event()];
        const { position } = await append(newStream(), 'no_stream', newEvents(1));
        await append(`${mark}-1`, 'no_stream', [one]);
        await append(newStream(), 'no_stream', newEvents(1));
        await append(`${mark}-2`, 'no_stream', [two]);
        const heard = await listen(
          position as Position,
          filter(mark),
          ({ events }) => events.length >= 2,
        );
        expect(idsOf(heard)).toEqual([one.id, two.id]);
      });

      test('hear checkpoints of what the filter holds back, and go on exactly from each of them', async () => {
        const prefix = newStream();
        const { position: start } = await append(newStream(), 'no_stream', newEvents(1));
        const ids: string[] = [];
        for (let round = 0; round < 12; round++) {
          await append(newStream(), 'no_stream', newEvents(17));
          const events = newEvents(round % 3);
          if (events.length > 0) await append(`${prefix}-${round}`, 'no_stream', events);
          ids.push(...events.map(({ id }) => id));
        }
        const filter = streamNameFilter({ prefixes: [prefix], maxSearchWindow: 10 });
        const enough = ({ events }: Heard): boolean => events.length >= ids.length;
        const { checkpoints } = await listen(start as Position, filter, enough);
        expect(checkpoints.length).toBeGreaterThan(10);
        expect(checkpoints.some(({ commit, prepare }) => commit !== prepare)).toBe(true);
        const where = new Map<string, Position>();
        for await (const { event } of client.readAll({ fromPosition: start as Position }))
          if (event) where.set(event.id, event.position);
        for (const checkpoint of checkpoints) {
          const rest = ids.filter((id) => isAfter(where.get(id) as Position, checkpoint));
          const heard = await listen(checkpoint, filter, ({ events, caughtUp }) =>
            rest.length > 0 ? events.length >= rest.length : caughtUp > 0,
          );
          expect(idsOf(heard)).toEqual(rest);
        }
      });

      test('hear checkpoints while nothing that passes the filter comes', async () => {
        const filter = streamNameFilter({ prefixes: [newStream()], maxSearchWindow: 5 });
        const { position } = await append(newStream(), 'no_stream', newEvents(1));
        const { checkpoints } = await listen(
          position as Position,
          filter,
          (heard) => heard.checkpoints.length >= 4,
          async (heard) => {
            await until('caught up', () => heard.caughtUp > 0);
            for (let round = 0; round < 25; round++)
              await append(newStream(), 'no_stream', newEvents(1));
          },
        );
        const sorted = [...checkpoints].sort((a, b) => (isAfter(a, b) ? 1 : -1));
        expect(checkpoints).toEqual(sorted);
      });

      test('a reader who is slow gets everything', async () => {
        const prefix = newStream();
        const { position } = await append(newStream(), 'no_stream', newEvents(1));
        const written: string[] = [];
        const subscription = client.subscribeToAll({
          fromPosition: position as Position,
          filter: streamNameFilter({ prefixes: [prefix] }),
        });
        const writing = (async () => {
          for (let round = 0; round < 100; round++) {
            const events = newEvents(10);
            written.push(...events.map(({ id }) => id));
            await append(`${prefix}-${round}`, 'no_stream', events);
          }
        })();
        const found: string[] = [];
        for await (const { event } of subscription) {
          found.push(event?.id ?? '');
          if (found.length % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
          if (found.length === 1_000) break;
        }
        await writing;
        expect(found).toEqual(written);
      }, 60_000);

      test('from the end hear only what comes', async () => {
        const prefix = newStream();
        await append(`${prefix}-1`, 'no_stream', newEvents(2));
        const live = newEvents(2);
        const heard = await listen(
          'end',
          streamNameFilter({ prefixes: [prefix] }),
          ({ events }) => events.length >= 2,
          async (heard) => {
            await until('caught up', () => heard.caughtUp > 0);
            await append(`${prefix}-2`, 'no_stream', live);
          },
        );
        expect(idsOf(heard)).toEqual(live.map(({ id }) => id));
      });

      test('fail where no event begins', async () => {
        const [, , { commit }] = await streamWith(1);
        const within = { commit: commit + 7n, prepare: commit + 7n };
        await append(newStream(), 'no_stream', newEvents(1));
        const listening = listen(within, streamNameFilter({ prefixes: ['x'] }), () => false);
        await expect(listening).rejects.toMatchObject({ code: 3 });
      });
    });

    const positionsOf = async (stream: string): Promise<(Position | undefined)[]> => {
      const found: (Position | undefined)[] = [];
      for await (const { event } of client.readStream(stream)) found.push(event?.position);
      return found;
    };

    test('the start of the log is the start of a subscription', async () => {
      const [first] = await log(START, 'forwards', 1);
      expect(first?.position.commit).toBeGreaterThanOrEqual(0n);
    });
  });
}

function newStream(): string {
  return `faithful${randomUUID().replaceAll('-', '')}`;
}

function newEvents(count: number): EventData[] {
  return Array.from({ length: count }, (_, index) =>
    binaryEvent({ type: 'Something', data: Buffer.from(`{"index":${index}}`) }),
  );
}

function isAfter(a: Position, b: Position): boolean {
  return a.commit === b.commit ? a.prepare > b.prepare : a.commit > b.commit;
}
