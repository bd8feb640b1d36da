import { describe, expect, test } from '@jest/globals';
import { createSecretKey } from 'node:crypto';
import {
  decryptAesGcm,
  encryptAesGcm,
  type Hash,
  hkdf,
  unwrapKey,
  wrapKey,
} from '#core/vault/primitives.js';
import { publishedVectors } from './published.js';

/**
 * Project Wycheproof's vectors through the vault's own primitives. Where the vectors are not at hand, the
 * known answers beside the primitives remain. What the vault does not support must be refused, and how
 * many vectors that are is stated, so that none drops out unseen.
 */
interface Wycheproof<T> {
  readonly numberOfTests: number;
  readonly testGroups: readonly { readonly keySize: number; readonly tests: readonly T[] }[];
}

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'acceptable' | 'invalid';
}

interface AeadVector extends Vector {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

interface HkdfVector extends Vector {
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
}

interface WrapVector extends Vector {
  readonly key: string;
  readonly msg: string;
  readonly ct: string;
}

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const hex = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString('hex');

/** Runs `check` for each vector; it answers what it did, and the counts must be as stated. */
function describeVectors<T extends Vector>(
  name: string,
  path: string,
  counts: Readonly<Record<string, number>>,
  check: (vector: T) => string,
): void {
  const vectors = publishedVectors(`wycheproof/${path}`) as Wycheproof<T> | undefined;
  if (!vectors) return;
  describe(`Wycheproof ${name}`, () => {
    test(`${vectors.numberOfTests} vectors`, () => {
      const done: Record<string, number> = {};
      for (const vector of vectors.testGroups.flatMap(({ tests }) => tests)) {
        const what = about(vector, () => check(vector));
        done[what] = (done[what] ?? 0) + 1;
      }
      expect(done).toEqual(counts);
      expect(Object.values(done).reduce((sum, n) => sum + n)).toBe(vectors.numberOfTests);
    });
  });
}

function about(vector: Vector, check: () => string): string {
  try {
    return check();
  } catch (cause) {
    const { tcId, comment, flags, result } = vector;
    throw new Error(`vector ${tcId} (${result}; ${flags.join()}): ${comment}`, { cause });
  }
}

describeVectors<AeadVector>(
  'AES-GCM',
  'aes_gcm_test.json',
  { opened: 39, 'not opened': 27, 'refused: key size': 211, 'refused: nonce size': 39 },
  ({ key, iv, aad, msg, ct, tag, result }) => {
    const seal = () => encryptAesGcm(bytes(key), bytes(iv), bytes(msg), bytes(aad));
    const open = () => decryptAesGcm(bytes(key), bytes(iv), bytes(ct), bytes(tag), bytes(aad));
    if (key.length !== 64 || iv.length !== 24) {
      expect(seal).toThrow(RangeError);
      expect(open).toThrow(RangeError);
      return key.length !== 64 ? 'refused: key size' : 'refused: nonce size';
    }
    if (result !== 'valid') {
      expect(open()).toBeUndefined();
      return 'not opened';
    }
    const sealed = seal();
    expect(hex(sealed.ciphertext)).toBe(ct);
    expect(hex(sealed.tag)).toBe(tag);
    expect(hex(open())).toBe(msg);
    return 'opened';
  },
);

function checkHkdf(hash: Hash): (vector: HkdfVector) => string {
  return ({ ikm, salt, info, size, okm, result }) => {
    const derive = () => hkdf(hash, bytes(ikm), bytes(salt), bytes(info), size);
    if (result !== 'valid') {
      expect(derive).toThrow(RangeError);
      return 'refused: too long';
    }
    expect(hex(derive())).toBe(okm);
    return 'derived';
  };
}

describeVectors<HkdfVector>(
  'HKDF-SHA256',
  'hkdf_sha256_test.json',
  { derived: 83, 'refused: too long': 3 },
  checkHkdf('sha256'),
);
describeVectors<HkdfVector>(
  'HKDF-SHA512',
  'hkdf_sha512_test.json',
  { derived: 80, 'refused: too long': 3 },
  checkHkdf('sha512'),
);

describeVectors<WrapVector>(
  'AES key wrap',
  'aes_wrap_test.json',
  {
    wrapped: 13,
    'not unwrapped': 37,
    'refused: key size': 97,
    'refused: size of what is wrapped': 18,
  },
  ({ key, msg, ct, result }) => {
    const wrap = () => wrapKey(bytes(key), bytes(msg));
    const unwrap = () => unwrapKey(bytes(key), bytes(ct));
    if (key.length !== 64) {
      expect(wrap).toThrow(RangeError);
      expect(unwrap).toThrow(RangeError);
      return 'refused: key size';
    }
    if (result === 'valid') {
      expect(hex(wrap())).toBe(ct);
      expect(hex(unwrap())).toBe(msg);
      expect(hex(unwrapKey(createSecretKey(bytes(key)), bytes(ct)))).toBe(msg);
      return 'wrapped';
    }
    expect(unwrap()).toBeUndefined();
    if (msg.length >= 32 && msg.length % 16 === 0) return 'not unwrapped';
    // The one acceptable vector wraps 8 bytes, which RFC 3394 leaves out.
    expect(wrap).toThrow(RangeError);
    return 'refused: size of what is wrapped';
  },
);

// Stands here also where the published sets do not lie beside the repository.
test('AES key wrap as in RFC 3394, 4.6', () => {
  const kek = bytes('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
  const key = bytes('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f');
  const wrapped =
    '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21';
  expect(hex(wrapKey(kek, key))).toBe(wrapped);
  expect(hex(unwrapKey(kek, bytes(wrapped)))).toBe(hex(key));
});
