import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { type Position, START } from '#core/kernel/position.js';
import { idIn } from '#core/ledger/contract.js';
import { NOTHING_FOUND, OrderCheck } from '#core/ledger/order-check.js';
import { type AppendRequest, LedgerUnavailable, OutcomeUnknown } from '#core/ledger/port.js';
import { sampleEvents, sampleStream } from '#core/ledger/samples.js';
import { type LedgerDatabase, ledgerDatabase } from './ledger-database.js';

/** Milliseconds of hammering; a longer run finds more: LEDGER_HAMMER_MS=300000. */
const HAMMER = Number(process.env.LEDGER_HAMMER_MS ?? 3_000);

describe('nothing is skipped', () => {
  let database: LedgerDatabase;
  beforeEach(async () => {
    database = await ledgerDatabase();
  });
  afterEach(() => database.drop());

  test(
    'two processes write while backends are rolled back and ended',
    async () => {
      const stores = [database.open(), database.open()];
      const reader = database.open();
      const check = new OrderCheck(true);
      const refused: AppendRequest[] = [];
      const until = performance.now() + HAMMER;
      const hammering = () => performance.now() < until;

      const reading = readEverything(check, hammering, async (after) => {
        const { events, scannedTo } = await reader.readAll(after, { limit: 100 });
        return {
          seen: events.map(({ position, bytes }) => ({ position, id: idIn(bytes) })),
          scannedTo,
        };
      });
      const writers = Array.from({ length: 16 }, async (_, index) => {
        const store = stores[index % 2] as (typeof stores)[number];
        while (hammering()) {
          const stream = sampleStream();
          const events = sampleEvents(stream, 1 + Math.floor(Math.random() * 3));
          const request = { stream, expected: { kind: 'none' }, events } as const;
          const appended = await untilKnown(() => store.append(request));
          if (!appended) refused.push(request);
          for (const [at, { position }] of appended?.events.entries() ?? [])
            check.wrote(position, events[at]?.id as string);
        }
      });
      const ending = (async () => {
        let ended = 0;
        while (hammering()) {
          await sleep(20 + Math.random() * 80);
          ended += await database.terminate('writer');
        }
        return ended;
      })();
      const rolledBack = rollBack(database, hammering);

      await Promise.all(writers);
      expect(await ending).toBeGreaterThan(5);
      expect(await rolledBack).toBeGreaterThan(5);
      await reading;
      expect(check.findings()).toEqual(NOTHING_FOUND);
      const { acknowledged, delivered } = check.counts;
      expect(delivered).toBe(acknowledged);
      // Who was told that nothing was written finds nothing written.
      for (const { stream } of refused) expect(await reader.read(stream)).toEqual([]);
      await Promise.all([...stores, reader].map((store) => store.close()));
    },
    HAMMER + 30_000,
  );

  test('a reader of a table whose positions are a sequence is caught by the same check', async () => {
    await database.owner.query(
      'create table public.naive (position bigserial primary key, id uuid)',
    );
    const pool = new pg.Pool({ connectionString: database.url, max: 14 });
    pool.on('error', () => undefined);
    const check = new OrderCheck(false);
    const until = performance.now() + 1_500;
    const hammering = () => performance.now() < until;
    const reading = readEverything(check, hammering, async (after) => {
      const { rows } = await pool.query<{ position: Position; id: string }>(
        'select position, id from public.naive where position > $1 order by position limit 100',
        [after],
      );
      return { seen: rows, scannedTo: rows.at(-1)?.position ?? after };
    });
    const writers = Array.from({ length: 12 }, async () => {
      while (hammering()) {
        const id = randomUUID();
        const client = await pool.connect();
        await client.query('begin');
        const insert = 'insert into public.naive (id) values ($1) returning position';
        const { rows } = await client.query<{ position: Position }>(insert, [id]);
        await sleep(Math.random() * 3);
        await client.query('commit');
        client.release();
        check.wrote(rows[0]?.position as Position, id);
      }
    });
    await Promise.all([...writers, reading]);
    const { skipped } = check.findings();
    expect(skipped.length).toBeGreaterThan(check.counts.acknowledged / 100);
    await pool.end();
  }, 30_000);
});

/** Reads page after page while others write, and on until nothing comes any more. */
async function readEverything(
  check: OrderCheck,
  writing: () => boolean,
  page: (
    after: Position,
  ) => Promise<{ seen: readonly { position: Position; id: string }[]; scannedTo: Position }>,
): Promise<void> {
  let after = START;
  for (let quiet = 0; quiet < 3;) {
    const { seen, scannedTo } = await page(after);
    for (const { position, id } of seen) check.saw(position, id);
    after = scannedTo;
    if (seen.length === 0 && !writing()) {
      quiet++;
      await sleep(200);
    } else quiet = 0;
  }
}

/** The outcome, asked for again while it is unknown; undefined where nothing was written. */
async function untilKnown<T>(append: () => Promise<T>): Promise<T | undefined> {
  for (;;) {
    try {
      return await append();
    } catch (error) {
      if (error instanceof LedgerUnavailable) return undefined;
      if (!(error instanceof OutcomeUnknown)) throw error;
    }
  }
}

/** Appends as another writer would, keeps everybody waiting, and takes it back. How often it did. */
async function rollBack(database: LedgerDatabase, hammering: () => boolean): Promise<number> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  let times = 0;
  while (hammering()) {
    const stream = sampleStream();
    const [event] = sampleEvents(stream, 1);
    const { digest, head, tail } = event.content;
    const contents = Buffer.concat([digest, head, tail]);
    await client.query('begin');
    const { rows } = await client.query<{ verdicts: string[] }>(
      'select verdicts from ledger.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
      [
        ...[randomUUID(), [], [stream], [1], [-1], [1], [event.id.slice(4)], [event.type]],
        ...[[1, 1 + contents.length], [head.length], contents],
      ],
    );
    expect(rows).toEqual([{ verdicts: ['appended'] }]);
    await sleep(Math.random() * 10);
    await client.query('rollback');
    times++;
    await sleep(20);
  }
  await client.end();
  return times;
}
