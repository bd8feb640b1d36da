import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkpointText } from './checkpoint.js';
import { utf8 } from './encoding.js';
import { Frontier, hashesOver, inclusionRanges, leafHash, nodeHash } from './merkle.js';
import { publicKeyOfSeed, sha256, signEd25519, verifyEd25519 } from './node-crypto.js';
import { formatNote, verifierKey } from './note.js';
import { formatTlogProof, openTlogProof, parseTlogProof } from './tlog-proof.js';

const leaves = ['a', 'b', 'c', 'd', 'e'].map(utf8);
const hashes = leaves.map((leaf) => leafHash(sha256, leaf));
const seed = new Uint8Array(32).fill(7);
const key = verifierKey(sha256, 'example.com/log', publicKeyOfSeed(seed));
const trusted = { origin: 'example.com/log', keys: [key] };
const crypto = { sha256, verify: verifyEd25519 };

async function proofOf(index: number, extra?: Uint8Array): Promise<string> {
  const tree = new Frontier(sha256);
  for (const hash of hashes) tree.append(hash);
  const text = checkpointText({ origin: trusted.origin, size: 5, root: tree.root() });
  const signature = { ...key, bytes: signEd25519(seed, utf8(text)) };
  const subtree = (from: number, to: number): Uint8Array =>
    to - from === 1
      ? (hashes[from] as Uint8Array)
      : nodeHash(sha256, subtree(from, (from + to) / 2), subtree((from + to) / 2, to));
  const proof = await hashesOver(sha256, inclusionRanges(index, 5), (nodes) =>
    Promise.resolve(
      nodes.map(({ level, index: at }) => subtree(at * 2 ** level, (at + 1) * 2 ** level)),
    ),
  );
  const checkpoint = formatNote({ text, signatures: [signature] });
  return formatTlogProof({ extra, index, hashes: proof, checkpoint });
}

test('a receipt has the lines that c2sp.org/tlog-proof asks for', async () => {
  const lines = (await proofOf(4, utf8('extra'))).split('\n');
  expect(lines.slice(0, 3)).toEqual(['c2sp.org/tlog-proof@v1', 'extra ZXh0cmE=', 'index 4']);
  expect(lines[3]).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  expect(lines.slice(4, 7)).toEqual(['', 'example.com/log', '5']);
  expect(lines.at(-1)).toBe('');
});

test('every leaf is proven, with what was given beside it', async () => {
  for (const [index, leaf] of leaves.entries()) {
    const text = await proofOf(index);
    expect(openTlogProof(crypto, text, leaf, trusted)).toMatchObject({
      index,
      checkpoint: { origin: trusted.origin, size: 5 },
    });
    expect(parseTlogProof(await proofOf(index, leaf))?.extra).toEqual(leaf);
    expect(formatTlogProof(parseTlogProof(text) as never)).toBe(text);
  }
});

test('nothing is proven of another leaf, without the key, or for another origin', async () => {
  const text = await proofOf(2);
  const c = leaves[2] as Uint8Array;
  expect(openTlogProof(crypto, text, utf8('d'), trusted)).toHaveProperty('flaw');
  expect(openTlogProof(crypto, text, c, { ...trusted, keys: [] })).toHaveProperty('flaw');
  expect(openTlogProof(crypto, text, c, { ...trusted, origin: 'x' })).toHaveProperty('flaw');
  const unsigned = text.slice(0, text.indexOf('—'));
  expect(openTlogProof(crypto, unsigned, c, trusted)).toHaveProperty('flaw');
});

test('no text but what was written proves anything', async () => {
  const text = await proofOf(3);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ unit: 'binary' }), (at, put) => {
      const changed = text.slice(0, at) + put + text.slice(at + 1);
      fc.pre(changed !== text);
      const opened = openTlogProof(crypto, changed, leaves[3] as Uint8Array, trusted);
      // Extra data is under no signature, by definition.
      if (!('flaw' in opened)) expect(parseTlogProof(changed)?.extra).toBeDefined();
    }),
  );
  for (const broken of ['', 'c2sp.org/tlog-proof@v1\nindex 0', text.replace('index 3', 'index 03')])
    expect(parseTlogProof(broken)).toBeUndefined();
});
