import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { categoryOf, idFrom, isId, newId, ownerOf, streamOf } from './ids.js';
import { comparePositions, parsePosition, type Position } from './position.js';

describe('ids', () => {
  test('are prefixed UUIDs of version 7 that sort by time', () => {
    const [early, late] = [newId('evt', 1_700_000_000_000), newId('evt', 1_700_000_000_001)];
    expect(early).toMatch(/^evt_018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(early < late).toBe(true);
    expect(isId('evt', early)).toBe(true);
    expect(isId('sub', early)).toBe(false);
  });

  test('derived ones are of version 8, the same for the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 32 }), (bytes) => {
        const id = idFrom('sub', bytes, 8);
        expect(isId('sub', id)).toBe(true);
        expect(id[18]).toBe('8');
        expect(idFrom('sub', bytes.slice(0, 16), 8)).toBe(id);
      }),
    );
    expect(() => idFrom('sub', new Uint8Array(15), 8)).toThrow(RangeError);
  });

  test.each([
    'sub_',
    'sub_x',
    'SUB_018bcfe5-6800-7000-8000-000000000000',
    'sub_018bcfe5-6800-4000-8000-000000000000',
    7,
    null,
  ])('%j is none', (value) => expect(isId('sub', value)).toBe(false));

  test('a stream says whose it is', () => {
    const stream = streamOf('subject', 'sub_1-2');
    expect([categoryOf(stream), ownerOf(stream)]).toEqual(['subject', 'sub_1-2']);
  });
});

describe('positions', () => {
  test('compare as numbers however long they are', () => {
    const position = fc.bigInt({ min: 0n, max: 9_223_372_036_854_775_807n });
    fc.assert(
      fc.property(position, position, (a, b) => {
        const sign = Math.sign(comparePositions(String(a) as Position, String(b) as Position));
        expect(sign).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  test.each(['', '-1', '01', '1.0', ' 1', '1e3', '12345678901234567890'])('%j is none', (text) =>
    expect(parsePosition(text)).toBeUndefined(),
  );
});
