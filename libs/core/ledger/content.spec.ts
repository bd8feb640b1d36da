import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { newId } from '#core/kernel/ids.js';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import { Content, placedIn, type Unplaced } from './content.js';
import { sampleEnvelope, sampleStream } from './contract/samples.js';

const AT = '2026-03-01T12:00:00.000Z' as Instant;

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const envelope: fc.Arbitrary<Unplaced> = fc.record({
  id: text,
  type: text,
  version: fc.nat(),
  stream: text,
  occurredAt: text,
  receivedAt: optional(text),
  actor: fc.record({ kind: fc.constant('service'), id: text }),
  declaredBy: optional(fc.record({ kind: fc.constant('subject'), assurance: optional(text) })),
  source: text,
  provenance: optional(fc.record({ importId: text, line: fc.nat() })),
  interactionId: text,
  correlationId: text,
  causationId: optional(text),
  salt: text,
  data: fc.dictionary(text, fc.jsonValue({ stringUnit: 'grapheme' })),
}) as fc.Arbitrary<object> as fc.Arbitrary<Unplaced>;

const moment = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) });

describe('content', () => {
  test('placed, is RFC 8785 of the whole envelope', () => {
    fc.assert(
      fc.property(envelope, moment, fc.nat(), (event, date, revision) => {
        const recordedAt = instantOf(date.getTime());
        const placed = Content.of(event).at(recordedAt, revision).toString('utf8');
        expect(placed).toBe(canonicalize({ ...event, recordedAt, revision }));
      }),
    );
  });

  test('has a digest of its own, wherever and whenever it is placed', () => {
    const event = sampleEnvelope(sampleStream());
    const content = Content.of(event);
    const hash = createHash('sha256').update(content.head).update(content.tail).digest();
    expect(content.digest).toEqual(hash);
    expect(Content.of({ ...event }).digest).toEqual(hash);
    expect(Content.of({ ...event, salt: 'another' }).digest).not.toEqual(hash);
    expect(Content.of({ ...event, data: {} }).digest).not.toEqual(hash);
  });

  test('says how long it will be at most', () => {
    const content = Content.of(sampleEnvelope(sampleStream()));
    const longest = content.at(AT, 0x7fffffff).length;
    expect(longest).toBeLessThanOrEqual(content.length);
    expect(content.length - longest).toBeLessThan(16);
  });
});

describe('what was placed', () => {
  const hostile = fc.dictionary(
    fc.oneof(text, fc.constantFrom('id', 'recordedAt', 'revision')),
    fc.oneof(
      fc.jsonValue({ stringUnit: 'grapheme' }),
      fc.constantFrom(
        '"id":"evt_',
        '","recordedAt":"2026-01-01T00:00:00.000Z","revision":7,',
        'evt_1',
      ),
      fc.constant({ id: newId('evt'), recordedAt: AT, revision: 9 }),
    ),
  );

  test('is found in its bytes, whatever they say', () => {
    fc.assert(
      fc.property(envelope, hostile, moment, fc.nat(), (event, data, date, revision) => {
        const recordedAt = instantOf(date.getTime());
        const id = newId('evt');
        const content = Content.of({ ...event, id, data });
        const placed = placedIn(content.at(recordedAt, revision));
        expect(placed).toMatchObject({ id, recordedAt, revision });
        expect(placed?.digest()).toEqual(content.digest);
      }),
    );
  });

  test('is not found in other bytes', () => {
    for (const bytes of ['', '{}', '{"recordedAt":"2026-03-01","revision":1}', '"recordedAt":"'])
      expect(placedIn(Buffer.from(bytes))).toBeUndefined();
  });
});
