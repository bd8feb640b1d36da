import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { catalogue, joinCatalogues } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import { newId, type StreamName } from '#core/kernel/ids.js';
import { type Instant, systemClock } from '#core/kernel/instant.js';
import { model } from '#core/kernel/model.js';
import { partitionOf } from '#core/kernel/partition.js';
import { type Position, START } from '#core/kernel/position.js';
import { Codec } from '#core/ledger/codec.js';
import { ensureCreated } from '#core/ledger/created.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { ledgerEvents } from '#core/ledger/ledger.events.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import type { EventStore } from '#core/ledger/port.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { ledgerMigrations } from '#core/ledger/postgres/schema.js';
import { sampleEvent, sampleStream } from '#core/ledger/contract/samples.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { until } from '../support/until.js';
import { foldTally, tally, tallyRows } from './support/tally.js';
import { type World, world } from './support/world.js';

jest.setTimeout(60_000);

type Happened = Event<'Happened', { readonly n: number }>;
const events = catalogue<Happened>({ Happened: { version: 1, says: { en: '', de: '' } } });
const anything = model<Happened>()({
  name: 'anything',
  initial: { happened: false },
  evolve: { Happened: () => ({ happened: true }) },
});

describe.each([
  ['in memory', () => Promise.resolve(new MemoryLedger())],
  [
    'on PostgreSQL',
    async (w: World) => {
      await w.owner.transaction().execute(async (tx) => {
        for (const { up } of ledgerMigrations) await up(tx);
      });
      return new PostgresLedger({ connectionString: w.url });
    },
  ],
] satisfies [string, (w: World) => Promise<EventStore>][])(
  'the projector over the ledger %s',
  (_, open) => {
    let w: World;
    let store: EventStore;
    let ledger: Ledger;
    beforeEach(async () => {
      w = await world();
      store = await open(w);
      ledger = over(store);
    });
    afterEach(async () => {
      await store.close();
      await w.close();
    });

    function over(one: EventStore): Ledger {
      return new Ledger(one, new Codec(joinCatalogues(ledgerEvents, events), new MemoryVault()));
    }

    async function record(count: number, stream = sampleStream()): Promise<Position> {
      let position = START;
      for (let n = 0; n < count; n++) {
        const occasion = {
          occurredAt: '2026-03-01T12:00:00.000Z' as Instant,
          actor: { kind: 'system', id: 'test' },
          source: 'unknown',
          interactionId: newId('rcp'),
          correlationId: 'test',
        } as const;
        const happened = step(anything, () => [{ type: 'Happened' as const, data: { n } }]);
        position = (await ledger.transact(stream, occasion, [happened])).position;
      }
      return position;
    }

    test('gives the rows of the log, names the ledger, and sees soon what is recorded', async () => {
      const ledgerId = await ensureCreated(ledger, systemClock);
      await record(50);
      const projector = w.projector({ log: ledger, projections: [tally()] });
      projector.start();
      expect(await projector.waitFor(await record(1), ['tally'], { timeoutMs: 5_000 })).toBe(true);
      for (let n = 0; n < 20; n++) {
        const position = await record(2);
        const began = performance.now();
        expect(await projector.waitFor(position, ['tally'], { timeoutMs: 2_000 })).toBe(true);
        expect(performance.now() - began).toBeLessThan(1_000);
      }
      // Of a category that it does not follow.
      const position = await record(1, sampleStream('access'));
      expect(await projector.waitFor(position, ['tally'], { timeoutMs: 2_000 })).toBe(true);
      const { events: all } = await ledger.readAll(START, { limit: 1_000 });
      expect(await tallyRows(w.db)).toEqual(foldTally(all));
      expect((await projector.checkpoints()).get('tally')).toMatchObject({ ledgerId, position });
      await projector.rebuild(['tally']);
      expect(await tallyRows(w.db)).toEqual(foldTally(all));
    });

    test('refuses to go on over another ledger', async () => {
      await ensureCreated(ledger, systemClock);
      const projector = w.projector({ log: ledger, projections: [tally()] });
      projector.start();
      const position = await record(5);
      await projector.waitFor(position, ['tally'], { timeoutMs: 5_000 });
      await projector.stop();

      const other = over(new MemoryLedger());
      await ensureCreated(other, systemClock);
      const again = w.projector({ log: other, projections: [tally()] });
      again.start();
      await until('it stops', async () => (await again.status())[0]?.status === 'stopped');
      expect(await again.status()).toMatchObject([
        { error: { code: 'checkpoint-not-in-log', position } },
      ]);
    });

    test('stops at an event of an unknown type', async () => {
      await ensureCreated(ledger, systemClock);
      const before = await record(5);
      const { position } = await store.append({
        stream: sampleStream(),
        expected: { kind: 'none' },
        events: [sampleEvent(sampleStream())],
      });
      const projector = w.projector({ log: ledger, projections: [tally()] });
      projector.start();
      await until(
        'it stops',
        async () => (await projector.status())[0]?.status === 'stopped',
        5_000,
      );
      expect(await projector.status()).toMatchObject([
        { position: before, error: { position, code: 'cannot-decode' } },
      ]);
    });

    test('stops at one only in the partition of its stream', async () => {
      await ensureCreated(ledger, systemClock);
      await record(5);
      const unreadable = sampleStream();
      const { position } = await store.append({
        stream: unreadable,
        expected: { kind: 'none' },
        events: [sampleEvent(unreadable)],
      });
      const projection = tally({ partitions: 4 });
      const projector = w.projector({ log: ledger, projections: [projection] });
      projector.start();
      const own = partitionOf(unreadable, 4);
      const isOwn = (stream: StreamName) => partitionOf(stream, 4) === own;
      let other = sampleStream();
      while (isOwn(other)) other = sampleStream();
      const last = await record(5, other);
      const waiting = { timeoutMs: 5_000, streams: [other] };
      expect(await projector.waitFor(last, ['tally'], waiting)).toBe(true);
      expect(await projector.status()).toMatchObject([
        { status: 'stopped', error: { position, code: 'cannot-decode' } },
      ]);
    });
  },
);
