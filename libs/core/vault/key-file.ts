import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Instant, systemClock } from '#core/kernel/instant.js';
import {
  codeOf,
  createFile,
  makeDirectory,
  overwrite,
  removeUnfinished,
  replaceFile,
} from './durable-file.js';
import { type Epoch, EpochClosed, isLiving, type KeyHome, KeyHomeUnusable } from './key-home.js';
import { KEY_BYTES, unwrapKey, wrapKey } from './primitives.js';

const FORMAT = 'consent-ledger/keys/1';
const ID = /^[0-9a-f]{32}$/;

interface StoredEpoch extends Epoch {
  /** Base64; gone once the epoch is closed. */
  readonly key?: string;
}

interface Stored {
  readonly format: typeof FORMAT;
  readonly id: string;
  readonly epochs: readonly StoredEpoch[];
  readonly indexKey: string;
  readonly derivationKey: string;
}

/**
 * The key home in one JSON file. Every process of a ledger must see the same file. Changes are atomic and
 * durable; only a rotation makes any, and rotations exclude one another.
 */
export class KeyFile implements KeyHome {
  #stored: Stored;
  #keys: ReadonlyMap<number, KeyObject>;
  #seen: string;

  private constructor(
    private readonly path: string,
    { stored, seen }: Read,
  ) {
    this.#stored = stored;
    this.#keys = keysOf(stored);
    this.#seen = seen;
  }

  /**
   * Opens the file; where there is none and `mayCreate` says so, makes it with epoch 1. Processes that
   * start at the same time all open the one that came first.
   * @throws KeyHomeUnusable where the file is missing or is no key file.
   */
  static async open(path: string, options: { readonly mayCreate: boolean }): Promise<KeyFile> {
    try {
      return new KeyFile(path, await readKeyFile(path));
    } catch (error) {
      const missing = error instanceof KeyHomeUnusable && error.reason === 'missing';
      if (!missing || !options.mayCreate) throw error;
    }
    await makeDirectory(dirname(path));
    await createFile(path, textOf(newContent(systemClock.now())));
    return new KeyFile(path, await readKeyFile(path));
  }

  get id(): string {
    return this.#stored.id;
  }

  epochs(): readonly Epoch[] {
    return this.#stored.epochs.map(({ n, startedAt, closedAt }) => ({ n, startedAt, closedAt }));
  }

  async refresh(): Promise<void> {
    const seen = await stat(this.path, { bigint: true }).then(signatureOf, () => undefined);
    if (seen !== this.#seen) this.#take(await readKeyFile(this.path));
  }

  async wrap(epoch: number, keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const wrapping = await this.#keyOf(epoch);
    return keys.map((key) => wrapKey(wrapping, key));
  }

  async unwrap(
    epoch: number,
    wrapped: readonly Uint8Array[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const wrapping = await this.#keyOf(epoch);
    return wrapped.map((key) => unwrapKey(wrapping, key));
  }

  async begin(epoch: number, at: Instant): Promise<void> {
    await this.#change(({ epochs, ...rest }) => {
      if (epochs.some(({ n }) => n === epoch)) return undefined;
      const begun = { n: epoch, key: newKey(), startedAt: at };
      return { ...rest, epochs: [...epochs, begun].sort((a, b) => a.n - b.n) };
    });
  }

  async closeBefore(epoch: number, at: Instant): Promise<void> {
    await this.#change(({ epochs, ...rest }) => ({
      ...rest,
      epochs: epochs.map(({ key, ...known }) =>
        known.n < epoch ? { ...known, closedAt: known.closedAt ?? at } : { ...known, key },
      ),
    }));
    await removeUnfinished(this.path);
  }

  secret(use: 'index' | 'derivation'): Uint8Array {
    return Buffer.from(
      use === 'index' ? this.#stored.indexKey : this.#stored.derivationKey,
      'base64',
    );
  }

  async #keyOf(epoch: number): Promise<KeyObject> {
    if (!this.#keys.has(epoch)) await this.refresh();
    const key = this.#keys.get(epoch);
    if (!key) throw new EpochClosed(epoch);
    return key;
  }

  async #change(change: (stored: Stored) => Stored | undefined): Promise<void> {
    const { stored } = await readKeyFile(this.path);
    if (stored.id !== this.id)
      throw new KeyHomeUnusable(
        'of-another-database',
        `${this.path} was exchanged for another file`,
      );
    const changed = change(stored);
    if (changed) await this.#replace(changed);
    this.#take(await readKeyFile(this.path));
  }

  async #replace(stored: Stored): Promise<void> {
    const old = await open(this.path, 'r+');
    try {
      await replaceFile(this.path, (file) => file.writeFile(textOf(stored)));
      // What is overwritten now is the file without a name that holds the keys as they were.
      await overwrite(old);
    } finally {
      await old.close();
    }
  }

  #take({ stored, seen }: Read): void {
    this.#stored = stored;
    this.#keys = keysOf(stored);
    this.#seen = seen;
  }
}

interface Read {
  readonly stored: Stored;
  /** Which file, and which state of it, was read. */
  readonly seen: string;
}

async function readKeyFile(path: string): Promise<Read> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new KeyHomeUnusable('missing', `there is no key file at ${path}`);
  }
  try {
    const stats = await file.stat({ bigint: true });
    if ((stats.mode & 0o077n) !== 0n && process.platform !== 'win32') await file.chmod(0o600);
    const stored = parse(await file.readFile('utf8'));
    if (!stored) throw new KeyHomeUnusable('damaged', `${path} is not a whole key file`);
    return { stored, seen: signatureOf(stats) };
  } finally {
    await file.close();
  }
}

/** Undefined where the text is no key file. What JSON.parse says is dropped: it quotes the text. */
function parse(text: string): Stored | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isStored(value) ? value : undefined;
}

function isStored(value: unknown): value is Stored {
  if (typeof value !== 'object' || value === null) return false;
  const { format, id, epochs, indexKey, derivationKey } = value as Record<string, unknown>;
  return (
    format === FORMAT &&
    typeof id === 'string' &&
    ID.test(id) &&
    isKey(indexKey) &&
    isKey(derivationKey) &&
    Array.isArray(epochs) &&
    epochs.every(isEpoch) &&
    epochs.some(isLiving)
  );
}

function isEpoch(value: unknown): value is StoredEpoch {
  if (typeof value !== 'object' || value === null) return false;
  const { n, key, startedAt, closedAt } = value as Record<string, unknown>;
  return (
    Number.isInteger(n) &&
    typeof startedAt === 'string' &&
    (closedAt === undefined ? isKey(key) : typeof closedAt === 'string' && key === undefined)
  );
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' && Buffer.from(value, 'base64').length === KEY_BYTES;
}

function signatureOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}/${size}/${mtimeNs}`;
}

function keysOf({ epochs }: Stored): ReadonlyMap<number, KeyObject> {
  return new Map(
    epochs.flatMap(({ n, key }) =>
      key === undefined ? [] : [[n, createSecretKey(Buffer.from(key, 'base64'))] as const],
    ),
  );
}

function newContent(now: Instant): Stored {
  return {
    format: FORMAT,
    id: randomBytes(16).toString('hex'),
    epochs: [{ n: 1, key: newKey(), startedAt: now }],
    indexKey: newKey(),
    derivationKey: newKey(),
  };
}

function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

function textOf(stored: Stored): string {
  return `${JSON.stringify(stored, null, 2)}\n`;
}
