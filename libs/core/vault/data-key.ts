import { randomBytes } from 'node:crypto';
import type { DataKey, KeyId } from './port.js';
import { KEY_BYTES } from './primitives.js';

const KEY_ID = /^[0-9a-f]{32}$/;
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * A data key that does not print: its bytes show neither in util.inspect nor in JSON, so that a key that
 * strays into a log line or an error leaves its id there and no more.
 */
export class HeldKey implements DataKey {
  readonly #bytes: Uint8Array;

  constructor(
    readonly id: KeyId,
    bytes: Uint8Array,
  ) {
    if (bytes.length !== KEY_BYTES) throw new RangeError(`a data key has ${KEY_BYTES} bytes`);
    this.#bytes = bytes;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** With bytes of its own: wiping either leaves the other whole. */
  copy(): HeldKey {
    return new HeldKey(this.id, Uint8Array.from(this.#bytes));
  }

  /** Overwrites the bytes. Sealing refuses a key of zeros. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toJSON(): { id: KeyId } {
    return { id: this.id };
  }

  [INSPECT](): string {
    return `DataKey(${this.id})`;
  }
}

export function newDataKey(): HeldKey {
  return new HeldKey(
    randomBytes(16).toString('hex') as KeyId,
    Uint8Array.from(randomBytes(KEY_BYTES)),
  );
}

/** Whether `text` is a key id in the one spelling that we write. */
export function isKeyId(text: string): text is KeyId {
  return KEY_ID.test(text);
}
