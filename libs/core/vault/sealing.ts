import { randomBytes } from 'node:crypto';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import { isKeyId } from './data-key.js';
import { lengthPrefixed } from './encoding.js';
import type { DataKey, KeyId } from './port.js';
import {
  decryptAesGcm,
  encryptAesGcm,
  equalBytes,
  hkdfExpand,
  hkdfExtract,
  KEY_BYTES,
  NONCE_BYTES,
  TAG_BYTES,
} from './primitives.js';

/**
 * Sealing format 1. Stored in events for ever: add versions, never edit.
 *
 *   version(1) | suite(2) | keyId(16) | messageId(32) | commitment(32) | ciphertext | tag(16)
 *
 * Message key and commitment come from the data key by HKDF-SHA512 with the random message id as salt and
 * infos of their own, after the AWS Encryption SDK's suite 0x0478. Each message has a key of its own, so
 * the nonce is constant and no count of messages per data key matters. AES-GCM alone would open under a
 * wrong key if the ciphertext was made for that; the commitment is compared first and rules it out.
 */
const VERSION = 1;
/** AES-256-GCM under HKDF-SHA512, with commitment. */
const SUITE = 0x0001;

const KEY_ID_AT = 3;
const MESSAGE_ID_AT = KEY_ID_AT + 16;
const COMMITMENT_AT = MESSAGE_ID_AT + 32;
const CIPHERTEXT_AT = COMMITMENT_AT + 32;

/** How much longer a sealed value is than its plaintext, in bytes. */
export const SEALING_OVERHEAD = CIPHERTEXT_AT + TAG_BYTES;

const NONCE = Buffer.alloc(NONCE_BYTES);
const SUITE_BYTES = Buffer.from([VERSION, SUITE >> 8, SUITE & 0xff]);
const KEY_INFO = Buffer.concat([SUITE_BYTES, Buffer.from('consent-ledger/seal/message-key')]);
const COMMITMENT_INFO = Buffer.concat([SUITE_BYTES, Buffer.from('consent-ledger/seal/commitment')]);

/** The value was sealed under another key than the one given. Says nothing about the value. */
export class WrongKey extends Error {
  override readonly name = 'WrongKey';
  constructor(
    readonly given: KeyId,
    readonly sealedUnder: KeyId,
  ) {
    super(
      given === sealedUnder
        ? `the bytes of key ${given} are not those it was sealed with`
        : `sealed under key ${sealedUnder}, not ${given}`,
    );
  }
}

/** The value was changed, moved to another place than it was sealed for, or never was a sealed value. */
export class NotAuthentic extends Error {
  override readonly name = 'NotAuthentic';
  constructor(
    readonly keyId: KeyId | undefined,
    reason: string,
  ) {
    super(reason);
  }
}

/** What a sealed value is bound to: it opens in this place and in no other. */
export interface SealedPlace {
  readonly stream: StreamName;
  readonly eventId: EventId;
  readonly eventType: string;
  readonly version: number;
  /** The field's name in the event's data. */
  readonly field: string;
  readonly keyId: KeyId;
}

const PLACE = 'consent-ledger/sealed-place/1';

/** The additional data of a sealed value: every part after its length, so that no two places are alike. */
export function additionalData(place: SealedPlace): Uint8Array {
  const { stream, eventId, eventType, version, field, keyId } = place;
  return lengthPrefixed([PLACE, stream, eventId, eventType, String(version), field, keyId]);
}

/** Seals `plaintext` (may be empty) under `key`, bound to `aad`. Two sealings of one value differ. */
export function seal(key: DataKey, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  return sealAs(randomBytes(32), key, plaintext, aad);
}

/** `seal` with a given message id, for known answers only: a message id used twice breaks the sealing. */
export function sealAs(
  messageId: Uint8Array,
  key: DataKey,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  if (!isKeyId(key.id) || messageId.length !== 32) throw new RangeError('not a key or message id');
  const { messageKey, commitment } = derive(key, messageId);
  const { ciphertext, tag } = encryptAesGcm(messageKey, NONCE, plaintext, aad);
  messageKey.fill(0);
  const sealed = Buffer.allocUnsafe(SEALING_OVERHEAD + ciphertext.length);
  sealed.set(SUITE_BYTES);
  sealed.write(key.id, KEY_ID_AT, 'hex');
  sealed.set(messageId, MESSAGE_ID_AT);
  sealed.set(commitment, COMMITMENT_AT);
  sealed.set(ciphertext, CIPHERTEXT_AT);
  sealed.set(tag, CIPHERTEXT_AT + ciphertext.length);
  return sealed;
}

/**
 * Opens what `seal` gave.
 * @throws WrongKey where the key id or the commitment is another key's: never other plaintext.
 * @throws NotAuthentic where the value or `aad` is not as it was sealed.
 */
export function unseal(key: DataKey, sealed: Uint8Array, aad: Uint8Array): Uint8Array {
  const sealedUnder = keyIdOf(sealed);
  if (sealedUnder !== key.id) throw new WrongKey(key.id, sealedUnder);
  const { messageKey, commitment } = derive(key, sealed.subarray(MESSAGE_ID_AT, COMMITMENT_AT));
  try {
    if (!equalBytes(commitment, sealed.subarray(COMMITMENT_AT, CIPHERTEXT_AT)))
      throw new WrongKey(key.id, sealedUnder);
    const ciphertext = sealed.subarray(CIPHERTEXT_AT, sealed.length - TAG_BYTES);
    const tag = sealed.subarray(sealed.length - TAG_BYTES);
    const plaintext = decryptAesGcm(messageKey, NONCE, ciphertext, tag, aad);
    if (plaintext === undefined)
      throw new NotAuthentic(sealedUnder, `does not authenticate under key ${sealedUnder}`);
    return plaintext;
  } finally {
    messageKey.fill(0);
  }
}

/** The id of the key that a value was sealed under. Throws NotAuthentic where it is no sealed value. */
export function keyIdOf(sealed: Uint8Array): KeyId {
  if (sealed.length < SEALING_OVERHEAD)
    throw new NotAuthentic(undefined, `${sealed.length} bytes are too few for a sealed value`);
  for (const [at, byte] of SUITE_BYTES.entries())
    if (sealed[at] !== byte) throw new NotAuthentic(undefined, 'unknown sealing version or suite');
  const { buffer, byteOffset } = sealed;
  return Buffer.from(buffer, byteOffset + KEY_ID_AT, 16).toString('hex') as KeyId;
}

function derive(key: DataKey, messageId: Uint8Array): { messageKey: Buffer; commitment: Buffer } {
  // A wiped key is all zeros: what is sealed under it would be open to everyone.
  if (key.bytes.length !== KEY_BYTES || key.bytes.every((byte) => byte === 0))
    throw new RangeError(`key ${key.id} has no bytes`);
  const extracted = hkdfExtract('sha512', key.bytes, messageId);
  const messageKey = hkdfExpand('sha512', extracted, KEY_INFO, KEY_BYTES);
  const commitment = hkdfExpand('sha512', extracted, COMMITMENT_INFO, 32);
  extracted.fill(0);
  return { messageKey, commitment };
}
