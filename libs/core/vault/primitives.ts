import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';

/**
 * The few primitives that the vault is built of, in the sizes it uses and no others. The published test
 * vectors run through these functions.
 */

/** A key as bytes, or as a handle that prints nothing. */
export type Secret = Uint8Array | KeyObject;
export type Hash = 'sha256' | 'sha512';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

const HASH_BYTES = { sha256: 32, sha512: 64 } as const;

/**
 * AES-256-GCM (NIST SP 800-38D): 256-bit key, 96-bit nonce, 128-bit tag. The caller answers for a nonce
 * that is never used twice under one key. Throws RangeError for other sizes.
 */
export function encryptAesGcm(
  key: Secret,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): { readonly ciphertext: Uint8Array; readonly tag: Uint8Array } {
  checkSize('AES key', sizeOf(key), KEY_BYTES);
  checkSize('nonce', nonce.length, NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  // GCM is a stream: update() gives everything and final() nothing.
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/** The plaintext, or undefined where key, nonce, ciphertext, tag and `aad` do not belong together. */
export function decryptAesGcm(
  key: Secret,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  checkSize('AES key', sizeOf(key), KEY_BYTES);
  checkSize('nonce', nonce.length, NONCE_BYTES);
  checkSize('tag', tag.length, TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}

/** HMAC (RFC 2104) over the concatenated parts. */
export function hmac(hash: Hash, key: Secret, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac(hash, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** HKDF (RFC 5869). Throws RangeError for more output than 255 hashes. An empty salt is one of zeros. */
export function hkdf(
  hash: Hash,
  secret: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Buffer {
  return hkdfExpand(hash, hkdfExtract(hash, secret, salt), info, length);
}

/** The first half of HKDF (RFC 5869, 2.2), apart so that several keys of one salt cost one extraction. */
export function hkdfExtract(hash: Hash, secret: Uint8Array, salt: Uint8Array): Buffer {
  return hmac(hash, salt, secret);
}

/** The second half of HKDF (RFC 5869, 2.3): `length` bytes for `info`. */
export function hkdfExpand(
  hash: Hash,
  pseudorandomKey: Uint8Array,
  info: Uint8Array,
  length: number,
): Buffer {
  const blocks = Math.ceil(length / HASH_BYTES[hash]);
  if (!Number.isInteger(length) || length < 0 || blocks > 255)
    throw new RangeError(`HKDF can not give ${length} bytes`);
  if (blocks === 1)
    return hmac(hash, pseudorandomKey, info, COUNTERS[1] as Buffer).subarray(0, length);
  const output: Buffer[] = [];
  let previous: Buffer = Buffer.alloc(0);
  for (let block = 1; block <= blocks; block++) {
    previous = hmac(hash, pseudorandomKey, previous, info, COUNTERS[block] as Buffer);
    output.push(previous);
  }
  return Buffer.concat(output).subarray(0, length);
}

const COUNTERS = Array.from({ length: 256 }, (_, counter) => Buffer.from([counter]));

const WRAP_IV = Buffer.alloc(8, 0xa6);
const WRAP_OVERHEAD = 8;

/**
 * AES-256 key wrap (RFC 3394, default IV): 8 bytes longer than `secret`, which has at least 16 bytes and a
 * multiple of 8. Throws RangeError for other sizes.
 */
export function wrapKey(wrapping: Secret, secret: Uint8Array): Buffer {
  checkSize('wrapping key', sizeOf(wrapping), KEY_BYTES);
  if (secret.length < 16 || secret.length % 8 !== 0)
    throw new RangeError(`a key of ${secret.length} bytes can not be wrapped`);
  return createCipheriv('id-aes256-wrap', wrapping, WRAP_IV).update(secret);
}

/** The wrapped key, or undefined where `wrapped` was not made under this key or was changed since. */
export function unwrapKey(wrapping: Secret, wrapped: Uint8Array): Buffer | undefined {
  checkSize('wrapping key', sizeOf(wrapping), KEY_BYTES);
  if (wrapped.length < 16 + WRAP_OVERHEAD || wrapped.length % 8 !== 0) return undefined;
  try {
    return createDecipheriv('id-aes256-wrap', wrapping, WRAP_IV).update(wrapped);
  } catch {
    return undefined;
  }
}

/** Whether the bytes are equal, in a time that tells nothing of where they differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function sizeOf(secret: Secret): number {
  return 'length' in secret ? secret.length : (secret.symmetricKeySize ?? 0);
}

function checkSize(what: string, actual: number, wanted: number): void {
  if (actual !== wanted) throw new RangeError(`a ${what} has ${wanted} bytes, not ${actual}`);
}
