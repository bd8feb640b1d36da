import { expect, test } from '@jest/globals';
import { newId, type StreamName, streamOf } from './ids.js';
import { partitionOf } from './partition.js';

test('a stream stays in its partition for ever: checkpoints are kept by these numbers', () => {
  const of = (id: string, count: number) => partitionOf(`subject-sub_${id}` as StreamName, count);
  expect([
    of('01890a5d-ac96-774b-bcce-b302099a8057', 8),
    of('01890a5d-ac96-774b-bcce-b302099a8059', 16),
    of('5c3e0b7a-5c11-8f6e-9d1f-2a4f0e6b7c8d', 8),
    of('5c3e0b7a-5c11-8f6e-9d1f-2a4f0e6b7c8d', 16),
    of('5c3e0b7a-5c11-8f6e-9d1f-2a4f0e6b7c8d', 1),
  ]).toEqual([5, 13, 6, 6, 0]);
});

test.each([2, 3, 8, 16])('people are spread evenly over %d partitions', (count) => {
  const people = 4_000;
  const sizes = new Array<number>(count).fill(0);
  // Ids made within a moment share all but their random bits.
  for (let n = 0; n < people; n++)
    sizes[partitionOf(streamOf('subject', newId('sub', 1_700_000_000_000)), count)]!++;
  // Six standard deviations of a fair draw.
  const spread = 6 * Math.sqrt((people / count) * (1 - 1 / count));
  for (const size of sizes) expect(Math.abs(size - people / count)).toBeLessThan(spread);
});
