import { expect, test } from '@jest/globals';
import { newId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { sampleEvents, sampleStream } from '../contract/samples.js';
import { KnownIds } from './known-ids.js';

const AT = '2026-03-01T12:00:00.000Z' as Instant;

const idsOf = (count: number) => Array.from({ length: count }, () => newId('evt'));

test('ids are known from the beginning of a stream on, or not at all', () => {
  const known = new KnownIds();
  const stream = sampleStream();
  const [a, b, c, d] = idsOf(4);
  known.add(stream, 2, [c]);
  expect(known.size(stream)).toBe(0);
  known.add(stream, 0, [a, b]);
  known.add(stream, 1, [b, c]);
  expect(known.size(stream)).toBe(3);
  expect([a, b, c, d].map((id) => known.has(stream, id as never))).toEqual([
    true,
    true,
    true,
    false,
  ]);
  known.add(stream, 4, [d]);
  expect(known.size(stream)).toBe(3);
  known.forget(stream);
  expect(known.size(stream)).toBe(0);
});

test('ids are read from the stored bytes', () => {
  const known = new KnownIds();
  const stream = sampleStream();
  const events = sampleEvents(stream, 3);
  known.note(
    stream,
    events.map(({ content }, revision) => ({
      stream,
      revision,
      position: String(revision + 1) as Position,
      bytes: content.at(AT, revision),
    })),
  );
  for (const { id } of events) expect(known.has(stream, id)).toBe(true);
});

test('what was used longest ago is forgotten, and no stream takes all there is', () => {
  const known = new KnownIds(20, 10);
  const streams = Array.from({ length: 5 }, () => sampleStream());
  for (const stream of streams) known.add(stream, 0, idsOf(6));
  expect(streams.map((stream) => known.size(stream))).toEqual([0, 0, 6, 6, 6]);
  const long = sampleStream();
  known.add(long, 0, idsOf(6));
  known.add(long, 6, idsOf(6));
  expect(known.size(long)).toBe(0);
});
