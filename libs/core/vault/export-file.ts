import { createHash } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Instant } from '#core/kernel/instant.js';
import { linesOf, replaceFile, syncDirectory } from './durable-file.js';
import type { KeyId } from './port.js';

/**
 * Vault exports, `vault-export-<epoch>.ndjson`: every living key, wrapped under that epoch, outside both
 * databases. After a restore the newest one brings the keys back. First line what it is, last line how
 * many keys and their SHA-256: a file without its last line is incomplete.
 */

export interface StoredKey {
  readonly owner: string;
  readonly compartment: string;
  readonly keyId: KeyId;
  readonly epoch: number;
  readonly wrapped: Uint8Array;
}

interface Heading {
  readonly format: typeof FORMAT;
  /** The id of the key home that can unwrap the keys. */
  readonly home: string;
  readonly epoch: number;
  readonly at: Instant;
}

const FORMAT = 'consent-ledger/vault-export/1';
const NAME = /^vault-export-(\d{1,9})\.ndjson(\.[0-9a-f]+\.unfinished)?$/;
const HASHED = 'sha256';

export interface VaultExport {
  readonly epoch: number;
  readonly path: string;
}

/**
 * Writes an export, in flat memory; on disk, complete and read back when it returns. Replaces one of that
 * epoch.
 */
export async function writeExport(
  directory: string,
  of: { readonly home: string; readonly epoch: number; readonly at: Instant },
  pages: AsyncIterable<readonly StoredKey[]>,
): Promise<{ readonly keys: number }> {
  const path = join(directory, `vault-export-${of.epoch}.ndjson`);
  const heading: Heading = { format: FORMAT, ...of };
  let keys = 0;
  await replaceFile(path, async (file) => {
    await file.writeFile(`${JSON.stringify(heading)}\n`);
    const hash = createHash(HASHED);
    for await (const page of pages) {
      const text = page.map(lineOf).join('');
      hash.update(text);
      keys += page.length;
      await file.writeFile(text);
    }
    await file.writeFile(`${JSON.stringify({ keys, [HASHED]: hash.digest('hex') })}\n`);
  });
  await checkExport({ epoch: of.epoch, path }, of.home);
  return { keys };
}

/** The export of the latest epoch, undefined where there is none. */
export async function newestExport(directory: string): Promise<VaultExport | undefined> {
  const found = (await exportsIn(directory)).filter(({ finished }) => finished);
  return found.sort((a, b) => b.epoch - a.epoch)[0];
}

/** Removes exports of epochs before that one, also what a crash left unfinished. */
export async function removeExportsBefore(directory: string, epoch: number): Promise<void> {
  for (const old of await exportsIn(directory)) if (old.epoch < epoch) await unlink(old.path);
  await syncDirectory(directory);
}

/**
 * The keys of an export, in pages. The whole file is checked before the first page.
 * @throws ExportUnusable where it is incomplete, altered or of another key home.
 */
export async function* readExport(
  from: VaultExport,
  home: string,
  size = 5_000,
): AsyncGenerator<readonly StoredKey[]> {
  await checkExport(from, home);
  let page: StoredKey[] = [];
  for await (const line of linesOf(from.path)) {
    const value = JSON.parse(line) as Omit<StoredKey, 'wrapped'> & { readonly wrapped?: string };
    // Neither the first line nor the last.
    if (value.wrapped === undefined) continue;
    page.push({ ...value, wrapped: Buffer.from(value.wrapped, 'base64') });
    if (page.length < size) continue;
    yield page;
    page = [];
  }
  if (page.length) yield page;
}

export class ExportUnusable extends Error {
  override readonly name = 'ExportUnusable';
  constructor(
    readonly path: string,
    reason: string,
  ) {
    super(`${path}: ${reason}`);
  }
}

async function checkExport({ path, epoch }: VaultExport, home: string): Promise<void> {
  const hash = createHash(HASHED);
  let [lines, last]: [number, string] = [0, ''];
  for await (const line of linesOf(path)) {
    if (lines === 0) checkHeading(path, epoch, home, line);
    if (lines > 1) hash.update(`${last}\n`);
    last = line;
    lines++;
  }
  const wanted = JSON.stringify({ keys: lines - 2, [HASHED]: hash.digest('hex') });
  if (last !== wanted) throw new ExportUnusable(path, 'it is incomplete or was altered');
}

function checkHeading(path: string, epoch: number, home: string, line: string): void {
  let heading: Partial<Heading> = {};
  try {
    heading = JSON.parse(line) as Partial<Heading>;
  } catch {
    // Falls through: no heading has no format.
  }
  if (heading.format !== FORMAT) throw new ExportUnusable(path, 'it is no vault export');
  if (heading.home !== home) throw new ExportUnusable(path, 'it is of another key home');
  if (heading.epoch !== epoch) throw new ExportUnusable(path, `it says epoch ${heading.epoch}`);
}

async function exportsIn(directory: string): Promise<(VaultExport & { finished: boolean })[]> {
  return (await readdir(directory)).flatMap((name) => {
    const [, epoch, unfinished] = NAME.exec(name) ?? [];
    if (epoch === undefined) return [];
    return [{ epoch: Number(epoch), path: join(directory, name), finished: !unfinished }];
  });
}

function lineOf({ owner, compartment, keyId, epoch, wrapped }: StoredKey): string {
  const key = {
    owner,
    compartment,
    keyId,
    epoch,
    wrapped: Buffer.from(wrapped).toString('base64'),
  };
  return `${JSON.stringify(key)}\n`;
}
