import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Instant } from '#core/kernel/instant.js';
import { codeOf, createFile, makeDirectory, replaceFile } from '#core/vault/durable-file.js';
import { base64, fromBase64, hex, utf8 } from './encoding.js';
import { publicKeyOfSeed, sha256, signEd25519 } from './node-crypto.js';
import {
  formatVerifierKey,
  parseVerifierKey,
  type Signature,
  type VerifierKey,
  verifierKey,
} from './note.js';

const FORMAT = 'consent-ledger/signing-keys/1';
const SEED_BYTES = 32;

/** A key that signs, or one that signed once: then without its seed. */
interface StoredKey {
  readonly name: string;
  readonly publicKey: string;
  /** The private key, base64; gone once the key was retired. */
  readonly seed?: string;
  readonly createdAt: Instant;
  readonly retiredAt?: Instant;
}

interface Stored {
  readonly format: typeof FORMAT;
  readonly keys: readonly StoredKey[];
}

/** A key as everybody may know it. */
export interface KnownKey {
  readonly verifierKey: string;
  /** It signs no more since then. */
  readonly retiredAt?: Instant;
}

/** What is where the signing keys should be can not be used. Nothing was changed. */
export class SigningKeysUnusable extends Error {
  override readonly name = 'SigningKeysUnusable';
}

/**
 * The keys that sign checkpoints, in one JSON file beside the epoch keys (mode 0600), outside of every
 * database and its backups. A key belongs to one origin, which is its name. Several may sign at a time: so
 * that whoever trusts the old key can go on while the new one is made known.
 */
export class SigningKeys {
  private keys: readonly StoredKey[] = [];

  private constructor(private readonly path: string) {}

  /** Where there is no file there is no key yet. Throws SigningKeysUnusable for what is no such file. */
  static async open(path: string): Promise<SigningKeys> {
    const keys = new SigningKeys(path);
    await keys.refresh();
    return keys;
  }

  /** Reads the file again: another process may have added or retired a key. */
  async refresh(): Promise<void> {
    this.keys = (await read(this.path)) ?? [];
  }

  /** Every key of the origin, oldest first, also those that sign no more: what it may have signed with. */
  verifierKeys(origin: string): readonly VerifierKey[] {
    return this.keys.filter(({ name }) => name === origin).map(verifierOf);
  }

  /** The same for everybody to know. */
  known(origin: string): readonly KnownKey[] {
    return this.keys.flatMap((key) =>
      key.name === origin
        ? [{ verifierKey: formatVerifierKey(verifierOf(key)), retiredAt: key.retiredAt }]
        : [],
    );
  }

  /** The keys of the origin that sign. */
  living(origin: string): readonly VerifierKey[] {
    return this.keys
      .filter(({ name, seed }) => name === origin && seed !== undefined)
      .map(verifierOf);
  }

  /** The signatures of all living keys of the origin. */
  sign(origin: string, text: string): readonly Signature[] {
    return this.keys.flatMap((key) => {
      if (key.name !== origin || key.seed === undefined) return [];
      const { name, id } = verifierOf(key);
      return [{ name, id, bytes: signEd25519(decoded(key.seed), utf8(text)) }];
    });
  }

  /** Makes a key of the origin; it signs from now on, beside those that are there. On disk when it returns. */
  async add(origin: string, at: Instant): Promise<VerifierKey> {
    const seed = randomBytes(SEED_BYTES);
    const publicKey = base64(publicKeyOfSeed(seed));
    const key: StoredKey = { name: origin, publicKey, seed: base64(seed), createdAt: at };
    const added = verifierOf(key);
    await this.change((keys) => [...keys, key]);
    return added;
  }

  /**
   * The key signs no more and its private part is gone; what it signed can still be verified. Refuses the
   * last living key of its origin with RangeError.
   */
  async retire(origin: string, id: string, at: Instant): Promise<void> {
    await this.change((keys) => {
      const retired = keys.find((key) => key.name === origin && hex(verifierOf(key).id) === id);
      if (retired === undefined) throw new RangeError(`${origin} has no key ${id}`);
      const others = keys.filter((key) => key !== retired && key.name === origin);
      if (!others.some(({ seed }) => seed !== undefined))
        throw new RangeError(`${id} is the only key of ${origin} that signs`);
      const { seed: _, ...rest } = retired;
      return keys.map((key) => (key === retired ? { ...rest, retiredAt: at } : key));
    });
  }

  /** Adds keys whose private part is lost, so that what they signed is still accepted. */
  async acknowledge(verifierKeys: readonly string[], at: Instant): Promise<void> {
    await this.change((keys) => {
      const lost = verifierKeys.flatMap((text) => {
        const key = parseVerifierKey(sha256, text);
        const known = keys.some(({ publicKey }) => key && publicKey === base64(key.publicKey));
        if (key === undefined || known) return [];
        const { name, publicKey } = key;
        return [{ name, publicKey: base64(publicKey), createdAt: at, retiredAt: at }];
      });
      return [...lost, ...keys];
    });
  }

  private async change(change: (keys: readonly StoredKey[]) => readonly StoredKey[]) {
    const before = await read(this.path);
    const stored: Stored = { format: FORMAT, keys: change(before ?? []) };
    const text = `${JSON.stringify(stored, null, 2)}\n`;
    await makeDirectory(dirname(this.path));
    if (before !== undefined) await replaceFile(this.path, (file) => file.writeFile(text));
    else if (!(await createFile(this.path, text)))
      throw new SigningKeysUnusable(`${this.path} was made by somebody else meanwhile`);
    await this.refresh();
  }
}

/** Undefined where there is no file. */
async function read(path: string): Promise<readonly StoredKey[] | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0 && process.platform !== 'win32')
      throw new SigningKeysUnusable(`${path} can be read by others: its mode must be 0600`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const stored = parse(text);
  if (stored === undefined) throw new SigningKeysUnusable(`${path} is no whole file of keys`);
  return stored.keys;
}

/** Undefined where the text is no such file. What JSON.parse says is dropped: it quotes the text. */
function parse(text: string): Stored | undefined {
  try {
    const value = JSON.parse(text) as Partial<Stored>;
    const whole = value.format === FORMAT && Array.isArray(value.keys) && value.keys.every(isKey);
    return whole ? (value as Stored) : undefined;
  } catch {
    return undefined;
  }
}

function isKey(value: unknown): boolean {
  const { name, publicKey, seed } = (value ?? {}) as Partial<StoredKey>;
  if (typeof name !== 'string' || fromBase64(publicKey ?? '')?.length !== 32) return false;
  return seed === undefined || base64(publicKeyOfSeed(decoded(seed))) === publicKey;
}

function verifierOf({ name, publicKey }: StoredKey): VerifierKey {
  return verifierKey(sha256, name, decoded(publicKey));
}

function decoded(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}
