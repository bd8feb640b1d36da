import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import type { Sha256 } from './merkle.js';
import type { VerifyEd25519 } from './note.js';

/** What the proof needs of cryptography, by Node. A browser brings its own. */

/** By way of a text of its bytes, which takes half the time of a buffer of its own. */
export const sha256: Sha256 = (bytes) => Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');

/** Before a raw key: the DER frame of an Ed25519 key as SPKI or PKCS #8 (RFC 8410, sections 4 and 7). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export const verifyEd25519: VerifyEd25519 = (publicKey, message, signature) => {
  try {
    return verify(null, message, publicKeyOf(publicKey), signature);
  } catch {
    // Bytes that are no key.
    return false;
  }
};

/** `seed`: the 32 bytes of an Ed25519 private key (RFC 8032, section 5.1.5). */
export function signEd25519(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return sign(null, message, privateKeyOf(seed));
}

export function publicKeyOfSeed(seed: Uint8Array): Uint8Array {
  const spki = createPublicKey(privateKeyOf(seed)).export({ format: 'der', type: 'spki' });
  return spki.subarray(SPKI.length);
}

/** Those of raw keys that were asked for: to read a key takes longer than to verify a signature. */
const publicKeys = new WeakMap<Uint8Array, KeyObject>();

function publicKeyOf(raw: Uint8Array): KeyObject {
  const known = publicKeys.get(raw);
  if (known) return known;
  const key = Buffer.concat([SPKI, raw]);
  const read = createPublicKey({ key, format: 'der', type: 'spki' });
  publicKeys.set(raw, read);
  return read;
}

function privateKeyOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}
