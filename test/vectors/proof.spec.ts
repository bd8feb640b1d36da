import { describe, expect, test } from '@jest/globals';
import { flawOfConsistency, flawOfInclusion } from '#core/proof/merkle.js';
import { publicKeyOfSeed, sha256, signEd25519, verifyEd25519 } from '#core/proof/node-crypto.js';
import { publishedFolder, publishedVectors } from './published.js';

/**
 * The vectors of transparency-dev/merkle and of Project Wycheproof through the proof's own functions. Where
 * they are not at hand, the known answers here and beside the code remain. How many there are is stated, so
 * that none drops out unseen.
 */
interface InclusionVector {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

interface ConsistencyVector {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

interface Ed25519Vectors {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: 'valid' | 'invalid';
    }[];
  }[];
}

const base64 = (text: string) => Buffer.from(text, 'base64');
const hex = (text: string) => Buffer.from(text, 'hex');

/** Every vector of a folder, and how many of them are to hold and to fail. */
function describeFolder<V extends { readonly wantErr: boolean }>(
  name: string,
  path: string,
  counts: { readonly holds: number; readonly fails: number },
  flawOf: (vector: V) => string | undefined,
): void {
  const vectors = publishedFolder(path) as [string, V][];
  if (vectors.length === 0) return;
  describe(name, () => {
    test.each(vectors)('%s', (_, vector) => {
      expect(flawOf(vector) !== undefined).toBe(vector.wantErr);
    });

    test('all of them are there', () => {
      const fails = vectors.filter(([, { wantErr }]) => wantErr).length;
      expect({ holds: vectors.length - fails, fails }).toEqual(counts);
    });
  });
}

describeFolder<InclusionVector>(
  'transparency-dev/merkle inclusion',
  'merkle/inclusion',
  { holds: 6, fails: 92 },
  ({ leafIdx, treeSize, root, leafHash, proof }) =>
    flawOfInclusion(sha256, {
      index: leafIdx,
      size: treeSize,
      leafHash: base64(leafHash),
      proof: (proof ?? []).map(base64),
      root: base64(root),
    }),
);

describeFolder<ConsistencyVector>(
  'transparency-dev/merkle consistency',
  'merkle/consistency',
  { holds: 6, fails: 92 },
  ({ size1, size2, root1, root2, proof }) =>
    flawOfConsistency(sha256, {
      from: size1,
      to: size2,
      fromRoot: base64(root1),
      toRoot: base64(root2),
      proof: (proof ?? []).map(base64),
    }),
);

const ed25519 = publishedVectors('wycheproof/ed25519_test.json') as Ed25519Vectors | undefined;
if (ed25519)
  test('Wycheproof Ed25519', () => {
    const done = { valid: 0, invalid: 0 };
    for (const { publicKey, tests } of ed25519.testGroups)
      for (const { tcId, msg, sig, result } of tests) {
        const holds = verifyEd25519(hex(publicKey.pk), hex(msg), hex(sig));
        expect({ tcId, result: holds ? 'valid' : 'invalid' }).toEqual({ tcId, result });
        done[result]++;
      }
    expect(done).toEqual({ valid: 88, invalid: 63 });
    expect(ed25519.numberOfTests).toBe(151);
  });

/** RFC 8032, section 7.1, tests 1 and 2. */
test.each([
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
])('RFC 8032: the seed %s signs as published', (seed, publicKey, message, signature) => {
  expect(Buffer.from(publicKeyOfSeed(hex(seed))).toString('hex')).toBe(publicKey);
  expect(Buffer.from(signEd25519(hex(seed), hex(message))).toString('hex')).toBe(signature);
  expect(verifyEd25519(hex(publicKey), hex(message), hex(signature))).toBe(true);
  expect(verifyEd25519(hex(publicKey), hex(`${message}00`), hex(signature))).toBe(false);
  expect(verifyEd25519(hex(publicKey).subarray(1), hex(message), hex(signature))).toBe(false);
});
