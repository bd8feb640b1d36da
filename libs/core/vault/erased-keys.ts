import { createHash } from 'node:crypto';
import type { Instant } from '#core/kernel/instant.js';
import { Batcher } from './batcher.js';
import { appendSynced, codeOf, exists, linesOf, replaceFile } from './durable-file.js';
import type { KeyId } from './port.js';

/** One destroyed key, or a compartment that was closed before it had one. */
export interface ErasedKey {
  readonly keyId: KeyId | null;
  readonly owner: string;
  /** The key's own; null for an owner closed before having any key. */
  readonly compartment: string | null;
  /** What was closed for ever with this key. */
  readonly closed: 'owner' | 'compartment';
  /** The epoch whose end makes every copy unreadable. */
  readonly epoch: number;
  readonly at: Instant;
}

/**
 * The registry of erased keys: an append-only file, one JSON line per key. It outlives every database and
 * every restore, and says what must not come back.
 *
 * A crash may tear what was being written. So each append begins on a line of its own and each line
 * carries a check: a line that does not end as lines do was torn, never promised, and is passed over; a
 * line that ends but does not check is damage, and nothing goes on past it.
 */
export class ErasedKeys {
  // Those who destroy at the same time share one write to the disk.
  readonly #appending = new Batcher<ErasedKey, undefined>(async (keys) => {
    await appendSynced(this.path, blockOf(keys));
    return keys.map(() => undefined);
  }, 10_000);

  private constructor(private readonly path: string) {}

  /**
   * Opens the file. Where there is none it is written from `known`, what the database knows, whole or not
   * at all; `rewritten` counts the keys. One process at a time.
   */
  static async open(
    path: string,
    known: AsyncIterable<readonly ErasedKey[]>,
  ): Promise<{ registry: ErasedKeys; rewritten: number }> {
    const registry = new ErasedKeys(path);
    if (await exists(path)) return { registry, rewritten: 0 };
    let rewritten = 0;
    await replaceFile(path, async (file) => {
      for await (const keys of known) {
        await file.writeFile(blockOf(keys));
        rewritten += keys.length;
      }
    });
    return { registry, rewritten };
  }

  /**
   * Adds the keys; on disk when it returns.
   * @throws RegistryMissing where the file was removed since it was opened.
   */
  async append(keys: readonly ErasedKey[]): Promise<void> {
    try {
      await this.#appending.ask(keys);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw new RegistryMissing(this.path);
      throw error;
    }
  }

  /** All keys in the order they were erased, in pages, in flat memory. Throws RegistryDamaged. */
  async *pages(size = 5_000): AsyncGenerator<readonly ErasedKey[]> {
    let page: ErasedKey[] = [];
    let number = 0;
    for await (const line of linesOf(this.path)) {
      number++;
      // Every complete line ends with its brace, and no proper beginning of one does.
      if (!line.endsWith('}')) continue;
      const key = keyOf(line);
      if (!key) throw new RegistryDamaged(this.path, number);
      page.push(key);
      if (page.length < size) continue;
      yield page;
      page = [];
    }
    if (page.length) yield page;
  }
}

/** A line of the registry was altered: it can not be told which key must not come back. */
export class RegistryDamaged extends Error {
  override readonly name = 'RegistryDamaged';
  constructor(
    readonly path: string,
    readonly line: number,
  ) {
    super(`${path}, line ${line}: the line was altered`);
  }
}

/** The registry's file was removed while in use. Nothing was destroyed; a restart writes it anew. */
export class RegistryMissing extends Error {
  override readonly name = 'RegistryMissing';
  constructor(readonly path: string) {
    super(`${path} is gone`);
  }
}

// It begins with a line end, so that whatever a crash tore before it stays a line apart.
function blockOf(keys: readonly ErasedKey[]): string {
  return `\n${keys.map((key) => `${lineOf(key)}\n`).join('')}`;
}

function lineOf({ keyId, owner, compartment, closed, epoch, at }: ErasedKey): string {
  const key: ErasedKey = { keyId, owner, compartment, closed, epoch, at };
  return JSON.stringify({ ...key, check: checkOf(key) });
}

function keyOf(line: string): ErasedKey | undefined {
  let value: ErasedKey & { readonly check?: string };
  try {
    value = JSON.parse(line) as ErasedKey & { readonly check?: string };
  } catch {
    return undefined;
  }
  const { check: _, ...key } = value;
  return lineOf(key) === line ? key : undefined;
}

function checkOf(key: ErasedKey): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16);
}
