import { HeldKey } from './data-key.js';
import { EpochClosed, type KeyHome } from './key-home.js';
import type { DataKey, KeyId } from './port.js';
import { KEY_BYTES } from './primitives.js';

/**
 * Data keys wrapped under an epoch key, together with their id: RFC 3394 authenticates what it wraps but
 * takes no additional data, and so a row whose wrapped key was exchanged for another row's does not unwrap.
 */
const ID_BYTES = 16;

export async function wrapDataKeys(
  home: KeyHome,
  epoch: number,
  keys: readonly DataKey[],
): Promise<readonly Uint8Array[]> {
  const payloads = keys.map(({ id, bytes }) => Buffer.concat([Buffer.from(id, 'hex'), bytes]));
  const wrapped = await home.wrap(epoch, payloads);
  for (const payload of payloads) payload.fill(0);
  return wrapped;
}

export interface WrappedKey {
  readonly keyId: KeyId;
  readonly epoch: number;
  readonly wrapped: Uint8Array;
}

/**
 * The keys in the order given: `'closed'` where the epoch's key is gone (the row may have been re-wrapped
 * meanwhile), `'damaged'` where what is stored is not that key.
 */
export async function unwrapDataKeys(
  home: KeyHome,
  rows: readonly WrappedKey[],
): Promise<readonly (HeldKey | 'closed' | 'damaged')[]> {
  const keys: (HeldKey | 'closed' | 'damaged')[] = Array.from(rows, () => 'closed');
  for (const epoch of new Set(rows.map((row) => row.epoch))) {
    const places = rows.flatMap((row, place) => (row.epoch === epoch ? [place] : []));
    const payloads = await unwrapped(
      home,
      epoch,
      places.map((place) => rows[place]!.wrapped),
    );
    if (payloads === undefined) continue;
    for (const [i, place] of places.entries()) keys[place] = keyIn(payloads[i], rows[place]!.keyId);
  }
  return keys;
}

async function unwrapped(
  home: KeyHome,
  epoch: number,
  wrapped: readonly Uint8Array[],
): Promise<readonly (Uint8Array | undefined)[] | undefined> {
  try {
    return await home.unwrap(epoch, wrapped);
  } catch (error) {
    if (error instanceof EpochClosed) return undefined;
    throw error;
  }
}

function keyIn(payload: Uint8Array | undefined, id: KeyId): HeldKey | 'damaged' {
  if (payload === undefined) return 'damaged';
  const named = Buffer.from(payload.subarray(0, ID_BYTES)).toString('hex');
  if (named !== id || payload.length !== ID_BYTES + KEY_BYTES) return 'damaged';
  const key = new HeldKey(id, Uint8Array.from(payload.subarray(ID_BYTES)));
  payload.fill(0);
  return key;
}
