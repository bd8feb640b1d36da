import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { StoredData } from '#core/kernel/pii.js';
import {
  type ApiKeyId,
  type EventId,
  type Id,
  type ReceiptId,
  streamOf,
} from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import { Codec } from '#core/ledger/codec.js';
import { Content } from '#core/ledger/content.js';
import { MemoryVault } from '#core/vault/memory-vault.js';
import { type AccessEvent, accessEvents } from './access.events.js';

/**
 * Every event of this slice as it is stored, one line for each version ever written. A line is added with a
 * version (ADD_GOLDEN=1) and never changed: it must be read for ever.
 */
const path = join(import.meta.dirname, 'access.events.golden.json');
const golden = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;

type Samples = {
  readonly [T in AccessEvent['type']]: StoredData<Extract<AccessEvent, { type: T }>['data']>;
};

const keyId = 'key_3f1c9a7e-5d2b-8e46-91a0-6c8d4b2f0e17' as ApiKeyId;
const userId = 'usr_01983c5e-8a00-7c3e-9d51-1f0c5a7be0bb' as Id<'usr'>;
const expiresAt = '2027-03-01T00:00:00.000Z' as Instant;

const SAMPLES: Samples = {
  PersonalDataViewed: {
    viewed: 'audience',
    subjectId: 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001',
    purpose: 'newsletter',
    topic: 'tours',
    channel: 'email',
    asOf: '2026-02-01T00:00:00.000Z' as Instant,
    knownAt: '77' as Position,
    included: ['contactPoints'],
  },
  RoleGranted: { userId, role: 'auditor', expiresAt },
  RoleRevoked: { userId, role: 'auditor' },
  ApiKeyIssued: {
    keyId,
    name: { sealed: 'AQIDBAUGBwgJCgsMDQ4PEA' },
    role: 'service',
    scopes: ['choices:write', 'decisions:read'],
    secretHash: '0'.repeat(64),
    expiresAt,
  },
  ApiKeyRevoked: { keyId },
};

const recordedAt = '2026-03-01T12:00:00.123Z' as Instant;
const stream = streamOf('golden', '1');

function stored(type: string, version: number, data: object): string {
  return Content.of({
    id: 'evt_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa' as EventId,
    type,
    version,
    stream,
    occurredAt: '2026-03-01T12:00:00.000Z' as Instant,
    actor: { kind: 'officer', id: 'key_1' },
    source: 'golden',
    interactionId: 'rcp_01983c5e-8a00-7c3e-9d51-1f0c5a7be0aa' as ReceiptId,
    correlationId: 'golden',
    salt: 'q3J0u1m5Zy8nT4w7RkXcVg',
    data,
  })
    .at(recordedAt, 0)
    .toString();
}

const codec = new Codec(joinCatalogues(accessEvents), new MemoryVault());

if (process.env['ADD_GOLDEN']) {
  for (const [type, { version }] of Object.entries(accessEvents))
    golden[`${type}@${version}`] ??= stored(type, version, SAMPLES[type as keyof Samples]);
  writeFileSync(path, `${JSON.stringify(golden, null, 2)}\n`);
}

describe('what is stored', () => {
  it('has a line for every version', () => {
    const versions = Object.entries(accessEvents).flatMap(([type, { version }]) =>
      Array.from({ length: version }, (_, n) => `${type}@${n + 1}`),
    );
    expect(Object.keys(golden).sort()).toEqual(versions.sort());
  });

  it.each(Object.entries(golden))('is read for ever: %s', (name, line) => {
    const type = name.split('@')[0] as keyof Samples;
    const bytes = Buffer.from(line);
    const event = codec.decode({ stream, revision: 0, position: '1' as Position, bytes });
    expect(event).toMatchObject({ type, recordedAt, position: '1' });
    expect(event.data).toEqual(JSON.parse(JSON.stringify(SAMPLES[type])));
  });

  it.each(Object.entries(accessEvents))('is written as it was: %s', (type, { version }) => {
    const line = stored(type, version, SAMPLES[type as keyof Samples]);
    expect(line).toBe(golden[`${type}@${version}`]);
  });
});
