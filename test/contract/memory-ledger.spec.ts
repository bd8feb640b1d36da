import { expect, test } from '@jest/globals';
import type { Instant } from '#core/kernel/instant.js';
import { describeEventStore } from '#core/ledger/contract/event-store.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';

describeEventStore('the ledger in memory', async () => {
  const store = new MemoryLedger();
  return { store, gapless: true, cleanup: () => store.close() };
});

test('a clock that goes back does not take the ledger with it', async () => {
  const times = [
    '2026-03-01T12:00:00.000Z',
    '2026-02-01T12:00:00.000Z',
    '2026-03-02T12:00:00.000Z',
  ];
  const store = new MemoryLedger({ now: () => times.shift() as Instant });
  const recorded: Instant[] = [];
  for (let round = 0; round < 3; round++) {
    const stream = sampleStream();
    const events = sampleEvents(stream, 1);
    recorded.push((await store.append({ stream, expected: { kind: 'none' }, events })).recordedAt);
  }
  expect(recorded).toEqual([
    '2026-03-01T12:00:00.000Z',
    '2026-03-01T12:00:00.000Z',
    '2026-03-02T12:00:00.000Z',
  ]);
});
