import type { Instant } from '#core/kernel/instant.js';
import type { KeyId } from './port.js';

/**
 * Where the epoch keys live: outside every database and every backup. A file now; an HSM (PKCS#11) or
 * Vault Transit can be another adapter, which is why epoch keys are used here and never handed out.
 */
export interface KeyHome {
  /** Random, made with the home. The vault's tables remember it: keys and home can not be mixed up. */
  readonly id: string;

  /** All epochs ever, oldest first. `closedAt`: since then its key exists nowhere. */
  epochs(): readonly Epoch[];

  /** Looks again: another process may have begun or closed an epoch. */
  refresh(): Promise<void>;

  /** Wraps keys under an epoch's key. Throws EpochClosed where that key is no longer, or not yet, here. */
  wrap(epoch: number, keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;

  /** Undefined for what was not wrapped under that epoch's key or was changed. Throws EpochClosed. */
  unwrap(
    epoch: number,
    wrapped: readonly Uint8Array[],
  ): Promise<readonly (Uint8Array | undefined)[]>;

  /** Makes the key of a new epoch. MUST be durable when it returns; repeating it changes nothing. */
  begin(epoch: number, at: Instant): Promise<void>;

  /** Destroys the keys of all epochs before that one. MUST be durable when it returns. */
  closeBefore(epoch: number, at: Instant): Promise<void>;

  /** A key that never changes: of the look-up index, or of derivations. */
  secret(use: 'index' | 'derivation'): Uint8Array;
}

export interface Epoch {
  readonly n: number;
  readonly startedAt: Instant;
  readonly closedAt?: Instant;
}

/** Finds the key home, or makes one where it may: never where the database has keys already. */
export type OpenKeyHome = (options: { readonly mayCreate: boolean }) => Promise<KeyHome>;

/** Whether an epoch's key still exists. */
export function isLiving(epoch: Epoch): boolean {
  return epoch.closedAt === undefined;
}

/** The key of that epoch is not in the key home. */
export class EpochClosed extends Error {
  override readonly name = 'EpochClosed';
  constructor(readonly epoch: number) {
    super(`the key home has no key of epoch ${epoch}`);
  }
}

/**
 * The key home is missing, unreadable or another database's. Nothing was changed. Without it no sealed
 * value can be read: it has to be brought back, never made anew.
 */
export class KeyHomeUnusable extends Error {
  override readonly name = 'KeyHomeUnusable';
  constructor(
    readonly reason: 'missing' | 'damaged' | 'of-another-database' | 'older-than-the-database',
    detail: string,
  ) {
    super(detail);
  }
}

/** Stored keys that can not be unwrapped although nothing says that they were destroyed. */
export class KeysUnreadable extends Error {
  override readonly name = 'KeysUnreadable';
  constructor(
    /** Ids of keys, or their number where they are many. */
    readonly keys: readonly KeyId[] | number,
    reason: string,
  ) {
    const many = typeof keys === 'number' ? `${keys} keys` : `key ${keys.join(', ')}`;
    super(`${many}: ${reason}`);
  }
}
