import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { StoredData } from '#core/kernel/pii.js';
import { type EventId, type NoticeId, type ReceiptId, streamOf } from '#core/kernel/ids.js';
import type { Instant, Period } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import { Codec } from '#core/ledger/codec.js';
import { Content } from '#core/ledger/content.js';
import { MemoryVault } from '#core/vault/memory-vault.js';
import {
  type PurposeDefinition,
  type PurposeEvent,
  purposeEvents,
  type PurposeId,
  type TopicId,
} from './purposes.events.js';

/**
 * Every event of this slice as it is stored, one line for each version ever written. A line is added with a
 * version (ADD_GOLDEN=1) and never changed: it must be read for ever.
 */
const path = join(import.meta.dirname, 'purposes.events.golden.json');
const golden = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;

type Samples = {
  readonly [T in PurposeEvent['type']]: StoredData<Extract<PurposeEvent, { type: T }>['data']>;
};

const purposeId = 'pur_5d2f8c1e-73b4-8a60-9c1d-2e4f6a8b0c13' as PurposeId;
const topicId = 'tpc_0b9d4e7a-1c3f-8d52-a6e8-7f5b3d1c9e24' as TopicId;
const definition: PurposeDefinition = {
  key: 'newsletter',
  texts: { de: 'Neuigkeiten', en: 'News' },
  controllers: ['nordwind'],
  marketing: true,
  allowedBases: ['consent'],
  channels: ['email', 'sms'],
  minimumEvidence: 'notice',
  doubleOptIn: true,
  explicitConsent: false,
  expiresAfter: 'P24M' as Period,
  retention: 'P3Y' as Period,
  dataCategories: ['contact'],
  recipients: ['Agency'],
};

const SAMPLES: Samples = {
  PurposeDefined: { purposeId, ...definition },
  PurposeRevised: { purposeId, ...definition },
  PurposeRetired: { purposeId, key: 'newsletter' },
  NoticePublished: {
    noticeId: 'ntc_c4a7e1b3-96d2-8f08-b5c3-1a7d9e3f5b35' as NoticeId,
    purpose: 'newsletter',
    kind: 'consent',
    version: 2,
    language: 'de-AT',
    text: 'Ich willige ein.\n„Jederzeit“ widerrufbar.',
    hash: '0'.repeat(64),
    publishedAt: '2024-05-01T00:00:00.000Z' as Instant,
  },
  TopicDefined: {
    topicId,
    key: 'tours',
    purpose: 'newsletter',
    unset: 'follows-purpose',
    texts: { en: 'Tours' },
  },
  TopicRetired: { topicId, key: 'tours' },
  SettingsChanged: {
    controllers: [{ key: 'nordwind', name: 'Nordwind GmbH', contact: 'privacy@nordwind.example' }],
    sources: ['api', 'kiosk'],
    defaultBases: [
      {
        purpose: 'orders',
        basis: 'legal-obligation',
        status: 'established',
        reference: '§ 147 AO',
        assessment: 'LIA-1',
      },
    ],
  },
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

const codec = new Codec(joinCatalogues(purposeEvents), new MemoryVault());

if (process.env['ADD_GOLDEN']) {
  for (const [type, { version }] of Object.entries(purposeEvents))
    golden[`${type}@${version}`] ??= stored(type, version, SAMPLES[type as keyof Samples]);
  writeFileSync(path, `${JSON.stringify(golden, null, 2)}\n`);
}

describe('what is stored', () => {
  it('has a line for every version', () => {
    const versions = Object.entries(purposeEvents).flatMap(([type, { version }]) =>
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

  it.each(Object.entries(purposeEvents))('is written as it was: %s', (type, { version }) => {
    const line = stored(type, version, SAMPLES[type as keyof Samples]);
    expect(line).toBe(golden[`${type}@${version}`]);
  });
});
