import type { Branded } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';

/** 16 random bytes, hex. A key's id is in every ciphertext made with it; a destroyed id never returns. */
export type KeyId = Branded<string, 'key-id'>;

/** 256 bits that seal one owner's compartment. Lives in memory for seconds only. */
export interface DataKey {
  readonly id: KeyId;
  readonly bytes: Uint8Array;
}

export interface KeyOwner {
  /** The id part of the owner's stream: a subject, an officer, an API key. */
  readonly owner: string;
  readonly compartment: string;
}

/**
 * Keys per owner and compartment. Every MUST is a test of the contract suite.
 */
export interface Vault {
  /**
   * The keys to write with, in the order asked; made when first needed.
   * - MUST refuse with KeyDestroyed, naming the owner, where that owner's compartment was destroyed: a key
   *   never comes back.
   * - MUST give concurrent callers, also in other processes, the same key.
   * - MUST be durable before it returns a new key.
   */
  keysFor(wanted: readonly KeyOwner[]): Promise<readonly DataKey[]>;

  /**
   * The keys to read with. A destroyed key is `'destroyed'`, one this vault never had is `'unknown'`.
   * MUST answer from the cache for seconds only (5 at most), and at once after `destroy` in this process.
   */
  open(ids: readonly KeyId[]): Promise<ReadonlyMap<KeyId, DataKey | 'destroyed' | 'unknown'>>;

  /**
   * Destroys all keys of an owner, or one compartment's. Afterwards `keysFor` refuses that owner (or
   * compartment) for ever. Idempotent: a repetition returns the same ids and moment.
   * MUST have the ids fsynced in the registry of erased keys before any key is gone.
   * Also closes compartments that had no key yet.
   */
  destroy(owner: string, compartment?: string): Promise<Destroyed>;

  /** Re-wraps every living key under a new epoch, exports them, destroys the old epoch key. Resumable. */
  rotate(progress?: (done: number, total: number) => void): Promise<VaultStatus>;

  status(): Promise<VaultStatus>;
  close(): Promise<void>;
}

export interface Destroyed {
  readonly keyIds: readonly KeyId[];
  readonly destroyedAt: Instant;
  /** The epoch whose end makes every copy of these keys unreadable. */
  readonly epoch: number;
}

export interface VaultStatus {
  readonly epoch: number;
  readonly epochStartedAt: Instant;
  readonly living: number;
  readonly destroyed: number;
  /** Epochs that ended, oldest first: since then no copy of a key destroyed in one can be read. */
  readonly closed: readonly { readonly epoch: number; readonly closedAt: Instant }[];
}

/** The owner's key, or the one compartment's, was destroyed. */
export class KeyDestroyed extends Error {
  override readonly name = 'KeyDestroyed';
  constructor(readonly keyOwner: KeyOwner) {
    super(`the key of ${keyOwner.owner} (${keyOwner.compartment}) was destroyed`);
  }
}

/**
 * Finds people by what they are called outside: keyed digests only, never a value. Lives beside the keys
 * and is removed with them: MUST be empty of an owner once `destroy` of that owner returned, and of a
 * reference once the compartment of that name was destroyed.
 */
export interface LookupIndex {
  /**
   * MUST be durable when it returns. Adding what is there changes nothing.
   * MUST refuse with KeyDestroyed, after adding the others, entries whose owner, or whose reference as a
   * compartment, was destroyed: a late writer brings nothing back.
   */
  add(entries: readonly LookupEntry[]): Promise<void>;
  /** Owners with that value, without doubles; order is by owner id. */
  find(kind: string, value: string): Promise<readonly string[]>;
  /** As `findMany`, with what each value belongs to within its owner: what is looked up can then be checked. */
  matchMany(
    wanted: readonly { kind: string; value: string }[],
  ): Promise<readonly (readonly LookupMatch[])[]>;
  /** Several look-ups in one round trip, answers in the order asked. */
  findMany(
    wanted: readonly { kind: string; value: string }[],
  ): Promise<readonly (readonly string[])[]>;
  /** Removes all of an owner's entries and reservations, or those of one reference (a contact point's id). */
  remove(owner: string, reference?: string): Promise<void>;
  /**
   * Reserves a value that may belong to one owner only. Returns the owner who holds it: `owner` itself,
   * or who came first. Reserving again is safe.
   * MUST refuse with KeyDestroyed (compartment `*`) to reserve for an owner that was destroyed.
   */
  reserve(kind: string, value: string, owner: string): Promise<string>;
}

export type LookupMatch = Pick<LookupEntry, 'owner' | 'reference'>;

export interface LookupEntry {
  readonly kind: string;
  /** Normalised by the caller; only its keyed digest is kept. */
  readonly value: string;
  readonly owner: string;
  /**
   * What the value belongs to within the owner, so that it can be removed alone: the name of the
   * compartment it is sealed in, where it has one to itself.
   */
  readonly reference: string;
}

/** Keyed derivations under keys that never change: ids from what must not be read back, and fingerprints. */
export interface Derivation {
  /** 32 bytes of HMAC-SHA256 over the length-prefixed parts, under a key of its own for each `use`. */
  digest(use: string, ...parts: readonly string[]): Uint8Array;
}

/** Milliseconds for which a process may still hold a key that another one destroyed. */
export const KEYS_CACHED_MS = 5_000;
