import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hex, utf8 } from './encoding.js';
import {
  consistencyRanges,
  emptyRoot,
  flawOfConsistency,
  flawOfInclusion,
  Frontier,
  type Hash,
  hashesOver,
  inclusionRanges,
  leafHash,
  nodeHash,
  nodesOf,
  type ReadNodes,
} from './merkle.js';
import { sha256 } from './node-crypto.js';
import { subtreeHash } from './tiles.js';

/** MTH of RFC 6962, section 2.1, word for word: what everything else is compared with. */
function treeHash(leaves: readonly Uint8Array[]): Hash {
  if (leaves.length === 0) return emptyRoot(sha256);
  if (leaves.length === 1) return leafHash(sha256, leaves[0] as Uint8Array);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(sha256, treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

const bytes = (text: string) => Buffer.from(text, 'hex');
const some = (count: number) => Array.from({ length: count }, (_, at) => utf8(`leaf ${at}`));
const readerOf =
  (leaves: readonly Uint8Array[]): ReadNodes =>
  (nodes) =>
    Promise.resolve(
      nodes.map(({ level, index }) =>
        treeHash(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
      ),
    );

/** The tree of transparency-dev/merkle, with the roots it is published with. */
const REFERENCE = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(bytes);

test('hashes are those of RFC 6962', () => {
  expect(hex(emptyRoot(sha256))).toBe(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
  expect(hex(leafHash(sha256, utf8('')))).toBe(
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  );
  expect(hex(leafHash(sha256, utf8('L123456')))).toBe(
    '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56',
  );
  expect(hex(nodeHash(sha256, utf8('N123'), utf8('N456')))).toBe(
    'aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb',
  );
});

test.each([
  [2, 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
  [7, 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c'],
  [8, '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
])('the frontier of the reference tree of size %i has the published root', (size, root) => {
  const frontier = new Frontier(sha256);
  for (const leaf of REFERENCE.slice(0, size)) frontier.append(leafHash(sha256, leaf));
  expect(hex(frontier.root())).toBe(root);
  expect(frontier.size).toBe(size);
});

test('a frontier that is given a subtree at once is the one of its leaves', () => {
  const leaves = some(40).map((leaf) => leafHash(sha256, leaf));
  const [one, other] = [new Frontier(sha256), new Frontier(sha256)];
  for (const leaf of leaves.slice(0, 24)) one.append(leaf);
  const formed: [number, string][] = [];
  const tell = (level: number, hash: Hash) => formed.push([level, hex(hash)]);
  for (let at = 0; at < 24; at += 8)
    other.appendTree(3, subtreeHash(sha256, leaves.slice(at, at + 8)), tell);
  expect(hex(other.root())).toBe(hex(one.root()));
  expect(other.size).toBe(24);
  expect(formed.map(([level]) => level)).toEqual([3, 3, 4, 3]);
  other.append(leaves[24] as Hash);
  expect(() => other.appendTree(3, leaves[0] as Hash)).toThrow(RangeError);
});

describe('for every tree', () => {
  const MOST = 70;
  const leaves = some(MOST);
  const rootOf = (size: number) => treeHash(leaves.slice(0, size));
  const inclusionOf = async (index: number, size: number) => ({
    index,
    size,
    leafHash: leafHash(sha256, leaves[index] as Uint8Array),
    proof: await hashesOver(sha256, inclusionRanges(index, size), readerOf(leaves)),
    root: rootOf(size),
  });
  const consistencyOf = async (from: number, to: number) => ({
    from,
    to,
    fromRoot: rootOf(from),
    toRoot: rootOf(to),
    proof: await hashesOver(sha256, consistencyRanges(from, to), readerOf(leaves)),
  });

  test('every leaf is proven to be in it', async () => {
    for (let size = 1; size <= 34; size++)
      for (let index = 0; index < size; index++)
        expect(flawOfInclusion(sha256, await inclusionOf(index, size))).toBeUndefined();
  });

  test('it is proven to extend every smaller one', async () => {
    for (let to = 1; to <= 34; to++)
      for (let from = 1; from <= to; from++)
        expect(flawOfConsistency(sha256, await consistencyOf(from, to))).toBeUndefined();
  });

  test('a frontier grows to the root, also from what was kept of it', () => {
    const frontier = new Frontier(sha256);
    for (let size = 1; size <= MOST; size++) {
      frontier.append(leafHash(sha256, leaves[size - 1] as Uint8Array));
      expect(frontier.root()).toEqual(rootOf(size));
      expect(Frontier.at(sha256, size, frontier.hashes()).root()).toEqual(rootOf(size));
      expect(frontier.hashes()).toHaveLength(nodesOf({ start: 0, end: size }).length);
    }
    expect(() => Frontier.at(sha256, 3, frontier.hashes().slice(0, 1))).toThrow(RangeError);
  });

  test('one changed bit anywhere spoils a proof of inclusion', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: MOST }),
        fc.nat(),
        fc.nat(),
        async (size, i, b) => {
          const good = await inclusionOf(i % size, size);
          const parts = [good.leafHash, good.root, ...good.proof].map((hash) => hash.slice());
          flip(parts, b);
          const [leaf, root, ...proof] = parts as [Hash, Hash, ...Hash[]];
          expect(flawOfInclusion(sha256, { ...good, leafHash: leaf, root, proof })).toBeDefined();
          expect(flawOfInclusion(sha256, { ...good, index: good.index + 1 })).toBeDefined();
          const longer = [...good.proof, good.root];
          expect(flawOfInclusion(sha256, { ...good, proof: longer })).toBeDefined();
          if (size > 1)
            expect(flawOfInclusion(sha256, { ...good, proof: good.proof.slice(1) })).toBeDefined();
        },
      ),
    );
  });

  test('one changed bit anywhere spoils a proof of consistency', async () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: MOST }), fc.integer({ min: 1, max: MOST }));
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async ([a, b], bit) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const good = await consistencyOf(from, to);
        const parts = [good.fromRoot, good.toRoot, ...good.proof].map((hash) => hash.slice());
        flip(parts, bit);
        const [fromRoot, toRoot, ...proof] = parts as [Hash, Hash, ...Hash[]];
        expect(flawOfConsistency(sha256, { ...good, fromRoot, toRoot, proof })).toBeDefined();
        const longer = [...good.proof, good.toRoot];
        expect(flawOfConsistency(sha256, { ...good, proof: longer })).toBeDefined();
        const shorter = good.proof.slice(1);
        if (to > from) expect(flawOfConsistency(sha256, { ...good, proof: shorter })).toBeDefined();
      }),
    );
  });
});

test('nothing is consistent with a tree of size 0, and nothing is in it', () => {
  const root = emptyRoot(sha256);
  const nothing = { from: 0, to: 0, fromRoot: root, toRoot: root, proof: [] };
  expect(flawOfConsistency(sha256, nothing)).toMatch('size 0');
  const inclusion = { index: 0, size: 0, leafHash: root, proof: [], root };
  expect(flawOfInclusion(sha256, inclusion)).toMatch('not in a tree');
  expect(() => consistencyRanges(0, 5)).toThrow(RangeError);
  expect(() => inclusionRanges(5, 5)).toThrow(RangeError);
});

test('sizes beyond 32 bits have proofs as well', async () => {
  // A tree of equal leaves: every complete subtree of a level has the same hash.
  const levels = [leafHash(sha256, utf8('same'))];
  for (let level = 0; level < 52; level++)
    levels.push(nodeHash(sha256, levels[level] as Hash, levels[level] as Hash));
  const read: ReadNodes = (nodes) =>
    Promise.resolve(nodes.map(({ level }) => levels[level] as Hash));
  const [from, to, index] = [2 ** 33 + 5, 2 ** 51 + 2 ** 40 + 77, 2 ** 51 + 3];
  const whole = (end: number) => [{ start: 0, end }];
  const [fromRoot] = (await hashesOver(sha256, whole(from), read)) as [Hash];
  const [toRoot] = (await hashesOver(sha256, whole(to), read)) as [Hash];
  const consistency = await hashesOver(sha256, consistencyRanges(from, to), read);
  expect(
    flawOfConsistency(sha256, { from, to, fromRoot, toRoot, proof: consistency }),
  ).toBeUndefined();
  const proof = await hashesOver(sha256, inclusionRanges(index, to), read);
  const inclusion = { index, size: to, leafHash: levels[0] as Hash, proof, root: toRoot };
  expect(flawOfInclusion(sha256, inclusion)).toBeUndefined();
  expect(flawOfInclusion(sha256, { ...inclusion, index: 2 ** 64 })).toMatch('no count');
});

function flip(hashes: readonly Hash[], bit: number): void {
  const at = bit % (hashes.length * 256);
  const hash = hashes[Math.floor(at / 256)] as Hash;
  const byte = Math.floor((at % 256) / 8);
  hash[byte] = (hash[byte] as number) ^ (1 << (at % 8));
}
