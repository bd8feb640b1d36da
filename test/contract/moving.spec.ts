import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { idIn } from '#core/ledger/contract/event-store.js';
import { Codec } from '#core/ledger/codec.js';
import { ensureCreated } from '#core/ledger/created.js';
import { Ledger } from '#core/ledger/ledger.js';
import { ledgerEvents } from '#core/ledger/ledger.events.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import type { AppendRequest, EventStore, StoredEvent } from '#core/ledger/port.js';
import { MOVING, moveMigrations } from '#core/ledger/postgres/moves.js';
import { PostgresStoredEvents } from '#core/ledger/postgres/postgres.stored-events.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { ensureCheckpoint, readPartitions } from '#core/projector/checkpoint.js';
import { OwnershipLost } from '#core/projector/failure.js';
import {
  acquire,
  advance,
  type Advance,
  advanced,
  epochOf,
  type Lease,
  renew,
} from '#core/projector/lease.js';
import { migrations as projectorMigrations } from '#core/projector/migrations.js';
import { firstOf, park } from '#core/projector/parked.js';
import { migrations as proofMigrations } from '#core/proof/postgres/migrations.js';
import { CanNotMove, giveUpMove, moveLog, type MoveTarget, openMoved } from '#core/runtime/move.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { type LedgerDatabase, ledgerDatabase } from './ledger-database.js';

const ERA = 10n ** 16n;

/** A log in PostgreSQL, and the memory as the place where it is moved to and back from. */
jest.setTimeout(60_000);

describe('a log that moves', () => {
  let database: LedgerDatabase;
  let db: Kysely<unknown>;
  let postgres: EventStore;
  let elsewhere: MemoryLedger;

  beforeEach(async () => {
    database = await ledgerDatabase();
    const pool = new pg.Pool({ connectionString: database.url, application_name: MOVING });
    pool.on('error', () => undefined);
    db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
    for (const { up } of [...projectorMigrations, ...proofMigrations, ...moveMigrations])
      await db.transaction().execute(up);
    elsewhere = new MemoryLedger();
    postgres = database.open();
    await ensureCreated(
      new Ledger(postgres, new Codec(joinCatalogues(ledgerEvents), new MemoryVault())),
    );
  });
  afterEach(async () => {
    await postgres.close();
    await db.destroy();
    await database.drop();
  });

  const add = (store: EventStore, count: number) => {
    const stream = sampleStream();
    const events = sampleEvents(stream, count);
    return store.append({ stream, expected: { kind: 'none' }, events } satisfies AppendRequest);
  };
  const all = async (store: EventStore): Promise<readonly StoredEvent[]> =>
    (await store.readAll(START, { limit: 1_000 })).events;
  /** It outlives whoever opens it. */
  const memory = (): MemoryLedger =>
    Object.assign(Object.create(elsewhere) as MemoryLedger, { close: () => Promise.resolve() });
  const inPostgres: MoveTarget = {
    kind: 'postgres',
    open: () => Promise.resolve(database.open()),
    writer: () => Promise.resolve(new PostgresStoredEvents(database.url)),
  };
  const inMemory: MoveTarget = {
    kind: 'kurrentdb',
    open: () => Promise.resolve(memory()),
    writer: () => Promise.resolve(elsewhere.storedEvents()),
  };
  const there = (final = false) => moveLog(db, inPostgres, inMemory, { final });
  const back = (final = false) => moveLog(db, inMemory, inPostgres, { final });
  /** The service stops, and may be started again. */
  const stop = () => postgres.close();
  const start = () => (postgres = database.open());

  test('is copied while it grows, and taken over when it has ended', async () => {
    await add(postgres, 5);
    expect(await there()).toMatchObject({ era: 1, copied: 6, events: 6, state: 'copying' });
    await add(postgres, 2);
    // It serves on.
    expect(await openMoved(db, { kind: 'postgres', store: postgres })).toBe(postgres);
    await expect(there(true)).rejects.toThrow(/must be stopped.*ledger reader/);
    const before = await all(postgres);
    await stop();
    expect(await there(true)).toMatchObject({ copied: 2, events: 8, upTo: '8', state: 'moved' });

    start();
    await expect(add(postgres, 1)).rejects.toMatchObject({ code: '42501' });
    await expect(openMoved(db, { kind: 'postgres', store: postgres })).rejects.toThrow(
      new CanNotMove('the log lies in kurrentdb, not in postgres'),
    );
    const moved = await openMoved(db, { kind: 'kurrentdb', store: elsewhere });
    const now = await all(moved);
    expect(now.slice(0, 8).map(({ bytes }) => Buffer.from(bytes))).toEqual(
      before.map(({ bytes }) => Buffer.from(bytes)),
    );
    expect(JSON.parse(Buffer.from((now[8] as StoredEvent).bytes).toString())).toMatchObject({
      type: 'LedgerMoved',
      data: { era: 1, from: 'postgres', to: 'kurrentdb', events: 8, positionsFrom: String(ERA) },
    });
    expect(now.map(({ position }) => position)).toEqual(
      now.map((_, index) => String(ERA + BigInt(index + 1))),
    );
  });

  test('understands every position of before, there and back again', async () => {
    await add(postgres, 4);
    const known = new Map<Position, string>();
    const remember = async (store: EventStore) => {
      for (const { position, bytes } of await all(store)) known.set(position, idIn(bytes));
    };
    const understood = async (store: EventStore) => {
      let last = START;
      for (const [position, id] of known) {
        const found = await store.at(position);
        expect(found && idIn(found.bytes)).toBe(id);
        expect(found?.position).toBe(await store.locate?.(position));
        const { events } = await store.readAll(position, { limit: 1 });
        if (events[0])
          expect(comparePositions(events[0].position, found?.position as Position)).toBeGreaterThan(
            0,
          );
        const stream = found?.stream as StoredEvent['stream'];
        const upTo = (await store.readMany([stream], { upTo: position })).get(stream);
        expect(idIn(upTo?.at(-1)?.bytes as Uint8Array)).toBe(id);
        last = position;
      }
      expect(last).not.toBe(START);
    };
    await remember(postgres);
    await stop();
    await there(true);
    const first = await openMoved(db, { kind: 'kurrentdb', store: elsewhere });
    await understood(first);
    await add(first, 3);
    await remember(first);
    await understood(first);
    // Between two positions lies what the one before it says; before all of them nothing.
    expect(await first.locate?.(String(ERA / 2n) as Position)).toBe(String(ERA + 5n));
    expect(await first.at(String(ERA / 2n) as Position)).toBeUndefined();

    // What lies in the database is a beginning of the log: only the rest is copied.
    expect(await back()).toMatchObject({ era: 2, copied: 4, events: 9 });
    await back(true);
    start();
    const second = await openMoved(db, { kind: 'postgres', store: postgres });
    await understood(second);
    await add(second, 1);
    await remember(second);
    await understood(second);
    expect((await second.head())?.position).toBe(String(2n * ERA + 11n));
    await expect(openMoved(db, { kind: 'kurrentdb', store: elsewhere })).rejects.toThrow(
      'the log lies in postgres, not in kurrentdb',
    );
  });

  test('a final copy that broke off keeps everybody out until it is finished or given up', async () => {
    await add(postgres, 3);
    await stop();
    const broken = elsewhere.storedEvents();
    const writer = { ...broken, append: () => Promise.reject(new Error('broken off')) };
    const breaking = { ...inMemory, writer: () => Promise.resolve(writer) };
    const moving = moveLog(db, inPostgres, breaking, { final: true });
    await expect(moving).rejects.toThrow('broken off');
    start();
    const source = { kind: 'postgres', store: postgres } as const;
    await expect(openMoved(db, source)).rejects.toThrow(/being moved from postgres to kurrentdb/);
    await expect(add(postgres, 1)).rejects.toMatchObject({ code: '42501' });

    await giveUpMove(db, elsewhere);
    expect(await openMoved(db, source)).toBe(postgres);
    await add(postgres, 1);
    await stop();
    expect(await there(true)).toMatchObject({ events: 5, state: 'moved' });
    await expect(giveUpMove(db, elsewhere)).rejects.toThrow('no final copy is under way');
    // Nothing is left to do: who asks again is told so, and where the log is.
    expect(await there(true)).toMatchObject({ copied: 0, events: 5, state: 'moved' });
    await expect(there()).rejects.toThrow('the log lies in kurrentdb');
  });

  test('a final copy that broke off after all was said is only finished', async () => {
    await add(postgres, 3);
    await stop();
    await there(true);
    await sql`update moves.moves set state = 'closing'`.execute(db);
    await expect(giveUpMove(db, elsewhere)).rejects.toThrow('kurrentdb has taken over already');
    expect(await there(true)).toMatchObject({ copied: 0, events: 4, state: 'moved' });
    expect(await all(elsewhere)).toHaveLength(5);
  });

  test('a place that says it has taken over, after the move was given up, is not taken at its word', async () => {
    await add(postgres, 3);
    await stop();
    await there(true);
    await sql`update moves.moves set state = 'copying'`.execute(db);
    for (const final of [false, true])
      await expect(there(final)).rejects.toThrow(/says that it has taken over, and postgres went/);
  });

  test('who followed the log before writes nothing any more; what was parked stays', async () => {
    await add(postgres, 1);
    await ensureCheckpoint(db, 'checkpoints', 'standing', 'projection', 2);
    await ensureCheckpoint(db, 'checkpoints', 'erasure', 'reactor');
    await ensureCheckpoint(db, 'rebuilds', 'standing', 'projection');
    const parked = { stream: sampleStream(), position: '2' as Position, reason: 'timeout' };
    await park(db, 'erasure', [{ ...parked, attempts: 1, delay: 0 }]);
    const claim = { owner: 'before', milliseconds: 60_000, evenIfStopped: false } as const;
    const lease = async (table: 'checkpoints' | 'rebuilds', name: string, partitions: number[]) => {
      const [taken] = await acquire(db, { ...claim, table, name, partitions });
      return taken?.lease as Lease;
    };
    const leases = [
      await lease('checkpoints', 'standing', [0, 1]),
      await lease('checkpoints', 'erasure', [0]),
      await lease('rebuilds', 'standing', [0]),
    ];
    const step: Advance = {
      to: '2' as Position,
      anchor: undefined,
      ledgerId: undefined,
      applied: new Map(),
    };
    for (const one of leases) {
      await advance(db, one, step);
      advanced(one, step);
    }
    await stop();
    await there(true);

    for (const one of leases) {
      await expect(advance(db, one, { ...step, to: '3' as Position })).rejects.toThrow(
        OwnershipLost,
      );
      // Also where it has not noticed that the rows were begun anew.
      one.position = START;
      await expect(advance(db, one, step)).rejects.toThrow(OwnershipLost);
      await expect(renew(db, one)).rejects.toThrow(OwnershipLost);
    }
    // Nobody else gets an epoch that was given out before.
    const again = await lease('rebuilds', 'standing', [0]);
    expect(Number(epochOf(again))).toBeGreaterThan(Number(epochOf(leases[2] as Lease)));
    expect(again.position).toBe(START);
    const [standing] = await readPartitions(db, { names: ['standing'] });
    expect(standing).toMatchObject({ version: 0, status: 'rebuilding', owner: undefined });
    const [erasure] = await readPartitions(db, { names: ['erasure'] });
    expect(erasure).toMatchObject({ position: '2', status: 'running', owner: undefined });
    expect(await firstOf(db, 'erasure', parked.stream)).toEqual({ position: '2', attempts: 1 });
    const moved = await openMoved(db, { kind: 'kurrentdb', store: elsewhere });
    expect((await moved.at('2' as Position))?.position).toBe(String(ERA + 2n));
  });

  test('is not moved onto another log', async () => {
    await add(postgres, 1);
    await add(elsewhere, 1);
    await expect(there()).rejects.toThrow(
      'kurrentdb holds events, and no copy of this log was begun there',
    );
    expect(await all(elsewhere)).toHaveLength(1);
  });

  test('a writer that nobody saw is noticed at the end', async () => {
    await add(postgres, 3);
    await stop();
    await there(true);
    // It appends when everything was copied and compared.
    const head = elsewhere.head.bind(elsewhere);
    elsewhere.head = async () => {
      await add(elsewhere, 1);
      return head();
    };
    await expect(back(true)).rejects.toThrow(/something still appends/);
  });
});
