import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { StreamName } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import { isMet } from './history.js';
import { HistoryRecorder } from './history-recorder.js';
import {
  type AppendRequest,
  EventIdReused,
  type EventStore,
  type Expected,
  LedgerUnavailable,
  OutcomeUnknown,
  WrongExpectedRevision,
} from '../port.js';
import { sampleEvents, sampleStream } from './samples.js';

/** What all clients share; what each knows of the others is what it has read itself. */
interface Clients {
  readonly stores: readonly EventStore[];
  readonly streams: readonly StreamName[];
  readonly recorder: HistoryRecorder;
  /** The last append of each client, to be sent again; and where each has read to. */
  readonly sent: Map<number, AppendRequest>;
  readonly cursors: Map<number, Position>;
  /** What each client does, one call after the other, while the others do theirs. */
  readonly turns: Map<number, Promise<void>>;
}

type Command = fc.AsyncCommand<object, Clients>;
type Mode = Expected['kind'] | 'as-read';

/** Begins a call of one client and does not wait for it: the next command is another client's, meanwhile. */
function command(
  client: number,
  words: string,
  call: (clients: Clients, store: EventStore) => Promise<unknown>,
): Command {
  return {
    check: () => true,
    run: (_, clients) => {
      const { stores, turns } = clients;
      const before = turns.get(client) ?? Promise.resolve();
      const store = stores[client % stores.length] as EventStore;
      const turn = before.then(async () => void (await call(clients, store)));
      // What fails is thrown where all turns are awaited.
      turn.catch(() => undefined);
      turns.set(client, turn);
      return Promise.resolve();
    },
    toString: () => `${client}: ${words}`,
  };
}

/** Appends as somebody does who believes something of the stream, perhaps wrongly. */
function appendTo(client: number, index: number, mode: Mode, count: number): Command {
  return command(client, `append ${count} to ${index}, ${mode}`, async (clients, store) => {
    const stream = clients.streams[index] as StreamName;
    const expected = mode === 'as-read' ? await asRead(clients, store, stream) : guess(mode, count);
    const request = { stream, expected, events: sampleEvents(stream, count) };
    clients.sent.set(client, request);
    await told(clients.recorder.append(store, request));
  });
}

async function asRead(
  { recorder }: Clients,
  store: EventStore,
  stream: StreamName,
): Promise<Expected> {
  const { length } = await recorder.read(store, stream);
  return length > 0 ? { kind: 'exact', revision: length - 1 } : { kind: 'none' };
}

function guess(kind: Expected['kind'], revision: number): Expected {
  return kind === 'exact' ? { kind, revision } : { kind };
}

/** Sends its last append again, as after a lost answer. */
function repeat(client: number): Command {
  return command(client, 'repeat', async ({ sent, recorder }, store) => {
    const request = sent.get(client);
    if (request) await told(recorder.append(store, request));
  });
}

/** Reads on from where it was. */
function readOn(client: number, limit: number): Command {
  return command(client, `read on, ${limit}`, async ({ recorder, cursors }, store) => {
    const { scannedTo } = await recorder.page(store, cursors.get(client) as Position, limit);
    cursors.set(client, scannedTo);
  });
}

function readStream(client: number, index: number): Command {
  return command(client, `read ${index}`, ({ recorder, streams }, store) =>
    recorder.read(store, streams[index] as StreamName),
  );
}

const CLIENTS = 4;
const STREAMS = 3;

const client = fc.nat({ max: CLIENTS - 1 });
const stream = fc.nat({ max: STREAMS - 1 });
const mode = fc.constantFrom<Mode>('none', 'exact', 'exists', 'any', 'as-read', 'as-read');
const count = fc.integer({ min: 1, max: 3 });
const commands = fc.commands<object, Clients, false>(
  [
    fc.tuple(client, stream, mode, count).map((all) => appendTo(...all)),
    fc.tuple(client, stream, mode, count).map((all) => appendTo(...all)),
    client.map(repeat),
    fc.tuple(client, fc.integer({ min: 1, max: 9 })).map((all) => readOn(...all)),
    fc.tuple(client, stream).map((all) => readStream(...all)),
  ],
  { maxCommands: 60, size: 'max' },
);

/** Random commands of several clients at once; what they saw must be explained by one log. */
export function describeInParallel(
  storesOf: () => readonly EventStore[],
  gaplessOf: () => boolean,
): void {
  const law = (broken: (store: EventStore) => EventStore = (store) => store) =>
    fc.asyncProperty(commands, async (run) => {
      const stores = storesOf().map(broken);
      const from = (await stores[0]?.head())?.position ?? START;
      const recorder = new HistoryRecorder(from);
      const everybody = Array.from({ length: CLIENTS }, (_, index) => index);
      const turns = new Map<number, Promise<void>>();
      const cursors = new Map(everybody.map((one) => [one, from]));
      const sent = new Map<number, AppendRequest>();
      const streams = Array.from({ length: STREAMS }, () => sampleStream());
      const real = { stores, streams, recorder, sent, cursors, turns };
      await fc.asyncModelRun(() => ({ model: {}, real }), run);
      await Promise.all(turns.values());
      expect(await recorder.violations(storesOf()[0] as EventStore, gaplessOf())).toEqual([]);
    });

  test('clients who work at the same time see one log', async () => {
    await fc.assert(law(), { numRuns: 40 });
  }, 60_000);

  test.each([
    ['reads what was there a while ago', staleReads],
    ['looks at the revision before it waits for its turn', checksTooEarly],
  ] as const)(
    'a store that %s is caught',
    async (_, broken) => {
      const { failed, errorInstance } = await fc.check(law(broken), {
        numRuns: 100,
        seed: 1,
        endOnFailure: true,
      });
      const said = (errorInstance as Error | undefined)?.message;
      expect([failed, said]).toEqual([true, expect.stringContaining('not-linearizable')]);
    },
    60_000,
  );
}

/** A twin that answers from a page it has kept. */
function staleReads(store: EventStore): EventStore {
  const kept = new Map<StreamName, ReturnType<EventStore['read']>>();
  return Object.assign(Object.create(store) as EventStore, {
    read: (stream: StreamName) => {
      const before = kept.get(stream);
      const now = store.read(stream);
      kept.set(stream, now);
      return before ?? now;
    },
  });
}

/** A twin whose expectation is compared with what it read before, while others wrote. */
function checksTooEarly(store: EventStore): EventStore {
  return Object.assign(Object.create(store) as EventStore, {
    append: async (request: AppendRequest) => {
      const { length } = await store.read(request.stream);
      const actual = length > 0 ? length - 1 : undefined;
      if (!isMet(request.expected, actual ?? -1))
        throw new WrongExpectedRevision(request.stream, request.expected, actual);
      return store.append({ ...request, expected: { kind: 'any' } });
    },
  });
}

/** A no that the port knows is an answer; anything else is a failure of the store. */
async function told(answer: Promise<unknown>): Promise<void> {
  const known = [WrongExpectedRevision, EventIdReused, LedgerUnavailable, OutcomeUnknown];
  await answer.catch((error: unknown) => {
    if (!known.some((kind) => error instanceof kind)) throw error;
  });
}
