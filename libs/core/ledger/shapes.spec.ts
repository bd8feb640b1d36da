import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { catalogue, joinCatalogues } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { type CannotDecode, Codec } from './codec.js';
import { Content, type Unplaced } from './content.js';
import type { StoredEvent } from './port.js';
import { sampleEnvelope, sampleStream } from './contract/samples.js';
import { Shapes, viewOf } from './shapes.js';

type Sample = Event<'SampleRecorded', object> | Event<'Lifted', object>;
const says = { en: '', de: '' };
const entries = joinCatalogues(
  catalogue<Sample>({
    SampleRecorded: { version: 2, says },
    Lifted: { version: 2, says, upcasts: { 1: (data: object) => data } },
  } as never),
);
const codec = new Codec(entries, new MemoryVault());

const DATA = { list: ['a', { on: true }], number: 12, text: 'plain', when: { from: 'x' } };

function stored(from: Partial<Unplaced> = {}, revision = 3): StoredEvent {
  const stream = from.stream ?? sampleStream();
  const envelope = sampleEnvelope(stream, { version: 2, data: DATA, ...from });
  const bytes = Content.of(envelope).at('2026-03-01T12:00:01.000Z' as Instant, revision);
  return { stream, revision, position: '1' as Position, bytes };
}

const fitting = (shapes: Shapes, bytes: Uint8Array, type = 'SampleRecorded') =>
  shapes.fitting(type, viewOf(bytes), 0, bytes.length);

function learned(event = stored()): Shapes {
  const shapes = new Shapes(codec, entries);
  expect(fitting(shapes, event.bytes)).toBeUndefined();
  expect(shapes.learn(event)).toBe(true);
  return shapes;
}

test('an event with other values of the same kind fits, wherever it lies', () => {
  const { bytes, stream } = stored({ data: { ...DATA, number: 7, text: 'other' } }, 4711);
  const around = Buffer.concat([Buffer.from('{"'), bytes, Buffer.from('"}')]);
  const shape = learned().fitting('SampleRecorded', viewOf(around), 2, 2 + bytes.length);
  const told = (gap: number) => around.toString('latin1', shape?.starts[gap], shape?.ends[gap]);
  const { gaps } = shape ?? { gaps: { id: 0, recordedAt: 0, revision: 0, stream: 0 } };
  expect(told(gaps.stream)).toBe(stream);
  expect(told(gaps.revision)).toBe('4711');
  expect(told(gaps.recordedAt)).toBe('2026-03-01T12:00:01.000Z');
  expect(told(gaps.id)).toMatch(/^evt_/);
});

test.each<[string, Partial<Unplaced>]>([
  ['another key', { data: { ...DATA, another: 1 } }],
  ['a key less', { data: { list: DATA.list, number: 1 } }],
  ['a number for a text', { data: { ...DATA, text: 1 } }],
  ['a fraction', { data: { ...DATA, number: 1.5 } }],
  ['another truth', { data: { ...DATA, list: ['a', { on: false }] } }],
  ['what is escaped', { data: { ...DATA, text: 'a"b' } }],
  ['more than ASCII', { data: { ...DATA, text: 'ü' } }],
  ['another version', { version: 3 }],
])('an event with %s does not', (_, from) => {
  expect(fitting(learned(), stored(from).bytes)).toBeUndefined();
});

test('of all bytes those fit that stand for themselves, wherever among others they lie', () => {
  const { bytes } = stored({ data: { ...DATA, text: 'plain text' } });
  const shapes = learned(stored());
  const text = Buffer.from(bytes).indexOf('plain text');
  for (let byte = 0; byte < 256; byte++)
    for (let at = 0; at < 'plain text'.length; at++) {
      const changed = Buffer.from(bytes);
      changed[text + at] = byte;
      const standsForItself = JSON.stringify(String.fromCharCode(byte)).length === 3 && byte < 0x7f;
      expect([byte, at, fitting(shapes, changed) !== undefined]).toEqual([
        byte,
        at,
        standsForItself,
      ]);
    }
});

test('what can not be decoded is not learned', () => {
  const shapes = new Shapes(codec, entries);
  const newer = stored({ version: 3 });
  expect(shapes.learn(newer)).toBe(false);
  expect(fitting(shapes, newer.bytes)).toBeUndefined();
});

test('what is lifted from an older version is decoded each time', () => {
  const shapes = new Shapes(codec, entries);
  const older = stored({ type: 'Lifted', version: 1 });
  expect(shapes.learn(older)).toBe(true);
  expect(fitting(shapes, older.bytes, 'Lifted')).toBeUndefined();
});

test.each([
  ['with the stamp elsewhere than it is looked for', '"salt":', '"s":{"recordedAt":"x"},"salt":'],
  ['that nobody wrote in canonical form', '"salt":', '"salt" :'],
])('an event %s is of no shape', (_, written, other) => {
  const { bytes, ...event } = stored();
  const changed = Buffer.from(bytes.toString().replace(written, other));
  const shapes = new Shapes(codec, entries);
  expect(shapes.learn({ ...event, bytes: changed })).toBe(true);
  expect(fitting(shapes, changed)).toBeUndefined();
});

test('whatever fits can be decoded, but for id, stream and revision', () => {
  const event = stored();
  const shapes = learned(event);
  const { length } = event.bytes;
  let fitted = 0;
  const change = fc.record({
    at: fc.nat(length - 1),
    remove: fc.nat(3),
    insert: fc.uint8Array({ maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
      let bytes = Buffer.from(event.bytes);
      for (const { at, remove, insert } of changes)
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      if (!fitting(shapes, bytes)) return;
      fitted++;
      const { stream, revision } = JSON.parse(bytes.toString()) as StoredEvent;
      try {
        codec.decode({ ...event, stream: stream as StreamName, revision, bytes });
      } catch (error) {
        expect((error as CannotDecode).reason).toBe('has no id');
      }
    }),
    { numRuns: 3_000 },
  );
  expect(fitted).toBeGreaterThan(50);
});
