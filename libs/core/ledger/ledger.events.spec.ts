import { expect, test } from '@jest/globals';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Position } from '#core/kernel/position.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { Codec } from './codec.js';
import { ledgerEvents, ORIGIN } from './ledger.events.js';

/** Every version ever written, as it is stored. A line is added with a version and never changed. */
const GOLDEN = [
  `{"actor":{"id":"ledger","kind":"system"},"correlationId":"led_01983c5e-8a00-7c3e-9d51-1f0c5a7be001",
    "data":{"ledgerId":"led_01983c5e-8a00-7c3e-9d51-1f0c5a7be001"},"id":"evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be002",
    "interactionId":"rcp_01983c5e-8a00-7c3e-9d51-1f0c5a7be003","occurredAt":"2026-03-01T12:00:00.000Z",
    "recordedAt":"2026-03-01T12:00:00.123Z","revision":0,"salt":"q3J0u1m5Zy8nT4w7RkXcVg","source":"ledger",
    "stream":"ledger-origin","type":"LedgerCreated","version":1}`,
  `{"actor":{"id":"operator","kind":"system"},"correlationId":"rcp_01983c5e-8a00-7c3e-9d51-1f0c5a7be005",
    "data":{"continuesAs":"ledger.example/2","origin":"ledger.example","root":"NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=",
    "size":1204},"id":"evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be004","interactionId":"rcp_01983c5e-8a00-7c3e-9d51-1f0c5a7be005",
    "occurredAt":"2026-03-01T12:00:00.000Z","recordedAt":"2026-03-01T12:00:00.123Z","revision":0,
    "salt":"q3J0u1m5Zy8nT4w7RkXcVg","source":"ledger","stream":"ledger-origin","type":"HistoryLost","version":1}`,
  `{"actor":{"id":"ledger","kind":"system"},"correlationId":"move 1",
    "data":{"digest":"5c4b","era":1,"events":4711,"from":"postgres","positionsFrom":"10000000000000000","to":"kurrentdb"},
    "id":"evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be004","interactionId":"rcp_01983c5e-8a00-7c3e-9d51-1f0c5a7be005",
    "occurredAt":"2026-03-01T12:00:00.000Z","recordedAt":"2026-03-01T12:00:00.123Z","revision":1,
    "salt":"q3J0u1m5Zy8nT4w7RkXcVg","source":"ledger","stream":"ledger-origin","type":"LedgerMoved","version":1}`,
].map((lines) => lines.replaceAll(/\n\s*/g, ''));

const PRESENT = [
  { type: 'LedgerCreated', data: { ledgerId: 'led_01983c5e-8a00-7c3e-9d51-1f0c5a7be001' } },
  { type: 'HistoryLost', data: { origin: 'ledger.example', continuesAs: 'ledger.example/2' } },
  { type: 'LedgerMoved', data: { era: 1, events: 4711, positionsFrom: '10000000000000000' } },
];

test.each(GOLDEN.map((stored, index) => [PRESENT[index], stored] as const))(
  '%j is read as it was written',
  (present, stored) => {
    const codec = new Codec(joinCatalogues(ledgerEvents), new MemoryVault());
    const bytes = Buffer.from(stored);
    const { revision } = JSON.parse(stored) as { revision: number };
    const event = codec.decode({ stream: ORIGIN, revision, position: '1' as Position, bytes });
    expect(event).toMatchObject(present as object);
  },
);

test('every version written now has such a line', () => {
  for (const [type, { version }] of Object.entries(ledgerEvents))
    expect(GOLDEN.some((stored) => stored.endsWith(`"type":"${type}","version":${version}}`))).toBe(
      true,
    );
});
