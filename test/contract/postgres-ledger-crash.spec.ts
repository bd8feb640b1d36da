import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { EmbeddedPostgres } from '#core/platform/embedded-postgres/server.js';
import { startEmbeddedPostgres } from '#core/platform/embedded-postgres/start.js';
import { type Position, START } from '#core/kernel/position.js';
import { idIn } from '#core/ledger/contract/event-store.js';
import { NOTHING_FOUND, OrderCheck } from '#core/ledger/contract/order-check.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { migrateLedger } from './ledger-database.js';

/** Rounds of kill -9; a longer run finds more: LEDGER_CRASH_ROUNDS=200. */
const ROUNDS = Number(process.env.LEDGER_CRASH_ROUNDS ?? 3);

/** Milliseconds for a server to be made and started, also on a busy machine. */
const PATIENCE = 60_000;

describe('PostgreSQL, killed with -9 while 16 writers append', () => {
  let directory: string;
  let postgres: EmbeddedPostgres;
  /** What was acknowledged, over all rounds. */
  let acknowledged: Map<string, Position>;

  // The writer of the log sleeps: what no commit waits for is then surely lost.
  const start = () => startEmbeddedPostgres({ directory, settings: { wal_writer_delay: '10s' } });

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ledger-crash-'));
    acknowledged = new Map();
    postgres = await start();
    await migrateLedger(postgres.url);
  }, PATIENCE);
  afterEach(async () => {
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  }, PATIENCE);

  /** Writers append until the server dies; then it is started again, and all is compared. */
  const round = async (synchronousCommit?: 'off'): Promise<OrderCheck> => {
    const store = new PostgresLedger({
      connectionString: postgres.url,
      deadline: 1_000,
      synchronousCommit,
    });
    let alive = true;
    const writers = Array.from({ length: 16 }, async (_, index) => {
      while (alive) {
        const stream = sampleStream();
        const events = sampleEvents(stream, 1 + (index % 3));
        const request = { stream, expected: { kind: 'none' }, events } as const;
        const appended = await store.append(request).catch(() => undefined);
        for (const [at, { position }] of appended?.events.entries() ?? [])
          acknowledged.set(events[at]?.id as string, position);
      }
    });
    await sleep(150 + Math.random() * 250);
    await postgres.kill();
    alive = false;
    await Promise.all(writers);
    await store.close();
    postgres = await start();
    return compared();
  };

  const compared = async (): Promise<OrderCheck> => {
    const check = new OrderCheck(true);
    for (const [id, position] of acknowledged) check.wrote(position, id);
    const store = new PostgresLedger({ connectionString: postgres.url });
    for (let after = START; ;) {
      const { events, scannedTo } = await store.readAll(after, { limit: 1_000 });
      for (const { position, bytes } of events) check.saw(position, idIn(bytes));
      if (events.length < 1_000) break;
      after = scannedTo;
    }
    await store.close();
    return check;
  };

  test(
    'has lost nothing that was acknowledged',
    async () => {
      for (let count = 1; count <= ROUNDS; count++)
        expect((await round()).findings()).toEqual(NOTHING_FOUND);
      expect(acknowledged.size).toBeGreaterThan(ROUNDS * 50);
    },
    30_000 + ROUNDS * 10_000,
  );

  test('loses what was acknowledged where commits do not wait for the disk', async () => {
    let lost = 0;
    for (let count = 1; count <= 5 && lost === 0; count++) {
      const { skipped, misplaced } = (await round('off')).findings();
      lost = skipped.length + misplaced.length;
    }
    expect(lost).toBeGreaterThan(0);
  }, 60_000);
});
