import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { StreamName } from '#core/kernel/ids.js';
import { START } from '#core/kernel/position.js';
import { describeEventStore } from '#core/ledger/contract/event-store.js';
import { type Compared, compareLogs, copyLog, NOTHING_COMPARED } from '#core/ledger/copy-log.js';
import { describeStoredEvents } from '#core/ledger/contract/copying.js';
import { CopyDiffers, NotACopy, type StoredEvents } from '#core/ledger/copying.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { MovedStore, positionsFrom } from '#core/ledger/moved-store.js';
import type { EventStore, StoredEvent } from '#core/ledger/port.js';
import { PostgresStoredEvents } from '#core/ledger/postgres/postgres.stored-events.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { compiled } from '../support/compiled.js';
import { ledgerDatabase } from './ledger-database.js';

jest.setTimeout(60_000);

describeStoredEvents('events taken over in memory', async () => {
  const store = new MemoryLedger();
  return { store, writer: store.storedEvents(), cleanup: () => store.close() };
});

describeStoredEvents('events taken over in PostgreSQL', async () => {
  const database = await ledgerDatabase();
  const store = database.open();
  const writer = new PostgresStoredEvents(database.url);
  return {
    store,
    writer,
    cleanup: async () => {
      await Promise.all([store.close(), writer.close()]);
      await database.drop();
    },
  };
});

describeEventStore('a ledger that was moved', async () => {
  const nothing = { find: () => Promise.resolve(undefined) };
  const store = new MovedStore(new MemoryLedger(), positionsFrom(1), nothing);
  return { store, gapless: true, cleanup: () => store.close() };
});

/** Streams that grow side by side, as those of people do. */
async function filled(store: EventStore, events: number): Promise<void> {
  const streams = Array.from({ length: 40 }, () => sampleStream());
  for (let count = 0; count < events;) {
    const group = streams.map((stream) => {
      const some = sampleEvents(stream, 1 + (count++ % 3));
      return store.append({ stream, expected: { kind: 'any' }, events: some });
    });
    await Promise.all(group);
  }
}

async function compared(
  source: EventStore,
  target: EventStore,
  { page = 50, from = NOTHING_COMPARED }: { page?: number; from?: Compared } = {},
): Promise<Compared> {
  let last = from;
  for await (const one of compareLogs(source, target, from, { page })) last = one.compared;
  return last;
}

/** What a move asks of a copy before it lets the target take over. */
async function isWhole(source: EventStore, target: EventStore): Promise<boolean> {
  try {
    const last = await compared(source, target);
    return last.source === (await source.head())?.position;
  } catch (error) {
    if (error instanceof CopyDiffers) return false;
    throw error;
  }
}

describe('a copy', () => {
  test('goes there and back again with the same digest', async () => {
    const [one, three] = [await ledgerDatabase(), await ledgerDatabase()];
    const [source, second, third] = [one.open(), new MemoryLedger(), three.open()];
    const back = new PostgresStoredEvents(three.url);
    try {
      await filled(source, 500);
      const events = await copyLog(source, second, second.storedEvents(), { page: 64 });
      expect(await copyLog(second, third, back, { page: 64 })).toBe(events);
      const there = await compared(source, second);
      expect(there).toMatchObject({ events });
      expect(await compared(source, third, { page: 33 })).toMatchObject({
        events,
        digest: there.digest,
      });
      expect(await copyLog(source, third, back)).toBe(0);

      // It goes on, in both directions, from where it stands.
      const stream = sampleStream();
      const request = { stream, expected: { kind: 'none' }, events: sampleEvents(stream, 3) };
      await source.append(request as Parameters<EventStore['append']>[0]);
      expect(await copyLog(source, second, second.storedEvents())).toBe(3);
      const rest = await compared(source, second, { from: there });
      expect(rest).toEqual(await compared(source, second));
      expect(rest.events).toBe(events + 3);
    } finally {
      await Promise.all([source.close(), third.close(), back.close()]);
      await Promise.all([one.drop(), three.drop()]);
    }
  });

  test('is refused where something else is there', async () => {
    const [source, target] = [new MemoryLedger(), new MemoryLedger()];
    await Promise.all([filled(source, 10), filled(target, 10)]);
    const copying = copyLog(source, target, target.storedEvents());
    await expect(copying).rejects.toEqual(new NotACopy('the target is the log of another ledger'));

    const other = new MemoryLedger();
    await copyLog(source, other, other.storedEvents());
    const [first] = (await source.readAll(START, { limit: 1 })).events;
    const stream = first?.stream as StreamName;
    await other.append({ stream, expected: { kind: 'any' }, events: sampleEvents(stream, 1) });
    await filled(source, 10);
    await expect(copyLog(source, other, other.storedEvents())).rejects.toThrow(/ends with .* not/);
  });

  describe('a copier that', () => {
    type Spoil = (events: Parameters<StoredEvents['append']>[0]) => typeof events;
    const copiers: [string, Spoil, boolean][] = [
      ['takes all as it is', (events) => events, true],
      ['drops the last event of a page', (events) => events.slice(0, -1), false],
      ['exchanges events of two streams', exchanged, false],
      ['changes a byte', (events) => events.with(3, changed(events[3] as StoredEvent)), false],
    ];
    test.each(copiers)('%s', async (_, spoil, whole) => {
      const [source, target] = [new MemoryLedger(), new MemoryLedger()];
      await filled(source, 100);
      const writer = target.storedEvents();
      const spoiling: StoredEvents = {
        // What does not follow is left out without a word.
        append: (events) => writer.append(spoil(events)).catch(() => undefined),
        close: () => writer.close(),
      };
      await copyLog(source, target, spoiling, { page: 30 });
      expect(await isWhole(source, target)).toBe(whole);
    });
  });
});

/** The first two neighbours of different streams change places. */
function exchanged<T extends { readonly stream: string }>(events: readonly T[]): readonly T[] {
  const at = events.findIndex(
    (event, index) => index > 0 && events[index - 1]?.stream !== event.stream,
  );
  const [before, after] = [events[at - 1], events[at]];
  if (before === undefined || after === undefined) return events;
  return events.with(at - 1, after).with(at, before);
}

function changed(event: StoredEvent): StoredEvent {
  const bytes = Buffer.from(event.bytes);
  bytes[bytes.indexOf('Grüße')] = 'g'.charCodeAt(0);
  return { ...event, bytes };
}

describe('a copy into PostgreSQL, killed with -9', () => {
  let dist: string;
  beforeAll(() => {
    dist = compiled();
  }, 300_000);

  let databases: Awaited<ReturnType<typeof ledgerDatabase>>[] = [];
  afterAll(() => Promise.all(databases.map((one) => one.drop())));

  test('goes on where it was, again and again', async () => {
    databases = [await ledgerDatabase(), await ledgerDatabase()];
    const [source, target] = databases.map((one): EventStore => one.open()) as [
      EventStore,
      EventStore,
    ];
    await filled(source, 6_000);
    const [from, to] = databases.map(({ url }) => url);
    const script = `
      const at = (path) => import(${JSON.stringify(pathToFileURL(join(dist, 'libs/core/ledger/')).href)} + path);
      const [{ copyLog }, { PostgresLedger }, { PostgresStoredEvents }] = await Promise.all(
        [at('copy-log.js'), at('postgres/postgres.ledger.js'), at('postgres/postgres.stored-events.js')]);
      const [source, target] = [${JSON.stringify(from)}, ${JSON.stringify(to)}].map(
        (connectionString) => new PostgresLedger({ connectionString }));
      const writer = new PostgresStoredEvents(${JSON.stringify(to)});
      console.log('begun');
      await copyLog(source, target, writer, { page: 20 });
      await Promise.all([source.close(), target.close(), writer.close()]);`;
    let kills = 0;
    for (let ended = false; !ended;) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exit = once(child, 'exit') as Promise<[number | null]>;
      await Promise.race([once(child.stdout, 'data'), exit]);
      await sleep(kills < 5 ? 30 + Math.random() * 120 : 60_000, undefined, {
        signal: AbortSignal.any([AbortSignal.timeout(60_000), whenDone(exit)]),
      }).catch(() => undefined);
      child.kill('SIGKILL');
      const [code] = await exit;
      if (code === 0) ended = true;
      else kills++;
      if (kills > 20) throw new Error('the copy does not come to its end');
    }
    const all = await compared(source, target, { page: 1_000 });
    expect(all.source).toBe((await source.head())?.position);
    expect(all.target).toBe((await target.head())?.position);
    expect(kills).toBeGreaterThan(0);
    await Promise.all([source.close(), target.close()]);
  }, 120_000);
});

function whenDone(ending: Promise<unknown>): AbortSignal {
  const done = new AbortController();
  void ending.then(() => done.abort());
  return done.signal;
}
