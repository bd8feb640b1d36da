import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { entriesIn } from '../../../test/support/entry-bundle.js';
import { joined, utf8 } from './encoding.js';
import {
  flawOfInclusion,
  Frontier,
  type Hash,
  hashesOver,
  inclusionRanges,
  leafHash,
} from './merkle.js';
import { sha256 } from './node-crypto.js';
import {
  entryBundle,
  nodesFromTiles,
  parseTilePath,
  placeOf,
  type ReadTiles,
  subtreeHash,
  type Tile,
  tileHash,
  TileMissing,
  tileName,
  tilePath,
  widthAt,
} from './tiles.js';

describe('a path', () => {
  test.each<[Tile, string]>([
    [{ level: 0, index: 0, width: 256 }, '0/000'],
    [{ level: 0, index: 1_234_067, width: 256 }, '0/x001/x234/067'],
    [{ level: 1, index: 1_000, width: 17 }, '1/x001/000.p/17'],
    [{ level: 'entries', index: 999, width: 1 }, 'entries/999.p/1'],
    [{ level: 63, index: 5, width: 255 }, '63/005.p/255'],
  ])('of %j is %s', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  test.each([
    '',
    '0',
    '0/0',
    '0/00',
    '0/0000',
    '00/000',
    '64/000',
    '-1/000',
    '0/001/000',
    '0/x000/001',
    '0/x001/x000',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/01',
    '0/000.p/',
    '0/000.p/1/',
    'entries/',
    'data/000',
    '0/x999/x999/x999/x999/x999/x999/999',
  ])('%j is none', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });

  test('is read as it was written', () => {
    const tile = fc.record<Tile>({
      level: fc.oneof(fc.nat(63), fc.constant('entries' as const)),
      index: fc.maxSafeNat(),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(fc.property(tile, (one) => expect(parseTilePath(tilePath(one))).toEqual(one)));
  });
});

test('a tree of size 70,000 has the tiles that the specification counts', () => {
  const widths = (size: number, level: number, ...tiles: readonly number[]) =>
    tiles.map((index) => widthAt(size, level, index));
  expect(widths(70_000, 0, 0, 272, 273, 274)).toEqual([256, 256, 112, 0]);
  expect(widths(70_000, 1, 0, 1, 2)).toEqual([256, 17, 0]);
  expect(widths(70_000, 2, 0, 1)).toEqual([1, 0]);
  expect(widths(70_000, 3, 0)).toEqual([0]);
  expect(widths(256, 0, 0, 1)).toEqual([256, 0]);
  expect(widths(256, 1, 0)).toEqual([1]);
  expect(widths(0, 0, 0)).toEqual([0]);
});

test('nodes are found in tiles', () => {
  expect(placeOf({ level: 0, index: 300 })).toEqual({ level: 0, index: 1, start: 44, count: 1 });
  expect(placeOf({ level: 7, index: 3 })).toEqual({ level: 0, index: 1, start: 128, count: 128 });
  expect(placeOf({ level: 8, index: 3 })).toEqual({ level: 1, index: 0, start: 3, count: 1 });
  expect(placeOf({ level: 17, index: 1 })).toEqual({ level: 2, index: 0, start: 2, count: 2 });
});

describe('proofs out of tiles', () => {
  const SIZE = 70_000;
  const leaves = Array.from({ length: SIZE }, (_, at) => leafHash(sha256, utf8(String(at))));
  const levels: Hash[][] = [leaves];
  for (let below = leaves; below.length >= 256;) {
    const above: Hash[] = [];
    for (let at = 0; at + 256 <= below.length; at += 256)
      above.push(subtreeHash(sha256, below.slice(at, at + 256)));
    levels.push((below = above));
  }
  const read: ReadTiles = (tiles) =>
    Promise.resolve(
      new Map(
        tiles.map(({ level, index }) => [
          tileName({ level, index }),
          joined((levels[level] as Hash[]).slice(index * 256, (index + 1) * 256)),
        ]),
      ),
    );
  const frontier = new Frontier(sha256);
  for (const leaf of leaves) frontier.append(leaf);

  test('hold for leaves everywhere', async () => {
    const root = frontier.root();
    for (const index of [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1]) {
      const ranges = inclusionRanges(index, SIZE);
      const proof = await hashesOver(sha256, ranges, nodesFromTiles(sha256, read));
      const inclusion = { index, size: SIZE, leafHash: leaves[index] as Hash, proof, root };
      expect(flawOfInclusion(sha256, inclusion)).toBeUndefined();
    }
  });

  test('ask for each tile once, and name one that is missing', async () => {
    const asked: string[] = [];
    const counting: ReadTiles = (tiles) => {
      asked.push(...tiles.map(tileName));
      return read(tiles);
    };
    await hashesOver(sha256, inclusionRanges(5, SIZE), nodesFromTiles(sha256, counting));
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked).toContain('0/0');
    const ranges = inclusionRanges(5, SIZE);
    const nothing = nodesFromTiles(sha256, () => Promise.resolve(new Map()));
    await expect(hashesOver(sha256, ranges, nothing)).rejects.toThrow(TileMissing);
    const short = nodesFromTiles(sha256, async (tiles) => {
      const whole = await read(tiles);
      return new Map([...whole].map(([name, bytes]) => [name, bytes.subarray(0, 32)]));
    });
    await expect(hashesOver(sha256, ranges, short)).rejects.toThrow(TileMissing);
  });

  test('a tile of any width hashes as the tree it is', () => {
    for (let width = 1; width <= 256; width++) {
      const small = new Frontier(sha256);
      for (const leaf of leaves.slice(0, width)) small.append(leaf);
      expect(tileHash(sha256, leaves.slice(0, width))).toEqual(small.root());
    }
  });
});

test('entries are found again in a bundle', () => {
  expect(entryBundle([utf8('ab'), utf8('')])).toEqual(Uint8Array.of(0, 2, 97, 98, 0, 0));
  const entries = fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 20 });
  fc.assert(
    fc.property(entries, (list) => {
      const bundle = entryBundle(list);
      expect(entriesIn(bundle)).toEqual(list);
      if (bundle.length > 0)
        expect(entriesIn(bundle.subarray(0, bundle.length - 1))).not.toEqual(list);
    }),
  );
  expect(entriesIn(Uint8Array.of(0, 3, 97))).toBeUndefined();
  expect(entriesIn(Uint8Array.of(0))).toBeUndefined();
  expect(entriesIn(entryBundle([new Uint8Array(65_535)]))).toHaveLength(1);
  expect(() => entryBundle([new Uint8Array(65_536)])).toThrow(RangeError);
});
