import { type Id, idFrom, type Prefix } from '#core/kernel/ids.js';
import { lengthPrefixed } from './encoding.js';
import type { Derivation } from './port.js';
import { hkdf, hmac, KEY_BYTES } from './primitives.js';

const NO_SALT = Buffer.alloc(0);

/**
 * Derivations under one key. Each `use` has a key of its own, HKDF-SHA256 with the use as info, so that
 * what is derived for one use says nothing about another. Uses are names in code and few: their keys are
 * kept.
 */
export function derivationUnder(key: Uint8Array): Derivation {
  const keys = new Map<string, Buffer>();
  const keyFor = (use: string): Buffer => {
    const known = keys.get(use);
    if (known) return known;
    const derived = hkdf(
      'sha256',
      key,
      NO_SALT,
      lengthPrefixed(['consent-ledger/derive', use]),
      KEY_BYTES,
    );
    keys.set(use, derived);
    return derived;
  };
  return { digest: (use, ...parts) => hmac('sha256', keyFor(use), lengthPrefixed(parts)) };
}

/** An id derived from `parts`: the same parts give the same id, and the id does not give the parts back. */
export function derivedId<P extends Prefix>(
  derivation: Derivation,
  prefix: P,
  use: string,
  ...parts: readonly string[]
): Id<P> {
  return idFrom(prefix, derivation.digest(use, ...parts), 8);
}
