import { readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, createFile, makeDirectory } from '#core/vault/durable-file.js';
import { hex, utf8 } from './encoding.js';
import { isOfOtherLog } from './known-checkpoints.js';
import { sha256 } from './node-crypto.js';

const NAME = /^\d{16}(-[0-9a-f]{8})?\.checkpoint$/;

/**
 * What was signed last, beside the key that signed it: outside of the database, so that a database which
 * was put back to an earlier day, or a second one under the same key, is found out before anything else is
 * signed.
 *
 * Each checkpoint is a file named by its size and the log's name, and a name can be taken once: of two signers with different
 * trees the second of one size finds it taken, and of different sizes at least one sees the other's file
 * where each looks after it has written its own.
 */
export class SignedCheckpoints {
  constructor(
    private readonly directory: string,
    private readonly origin: string,
  ) {}

  /** The notes by size, smallest first; without those of a log of another name. */
  async all(): Promise<ReadonlyMap<number, string>> {
    const notes = new Map<number, string>();
    for (const name of (await this.names()).sort()) {
      // One that a later checkpoint made needless may go while we look.
      const note = await unlessGone(readFile(join(this.directory, name), 'utf8'));
      if (note !== undefined && !isOfOtherLog(note, this.origin))
        notes.set(Number.parseInt(name, 10), note);
    }
    return notes;
  }

  /** On disk when it returns; false where there is one of that size already. */
  async add(size: number, note: string): Promise<boolean> {
    await makeDirectory(this.directory);
    return createFile(this.pathOf(size), note);
  }

  /** Those of smaller trees are implied by one that was found consistent with them. */
  async forgetBefore(size: number): Promise<void> {
    for (const before of (await this.all()).keys())
      if (before < size) await unlessGone(unlink(this.pathOf(before)));
  }

  private async names(): Promise<string[]> {
    const names = (await unlessGone(readdir(this.directory))) ?? [];
    return names.filter((name) => NAME.test(name));
  }

  private pathOf(size: number): string {
    const log = hex(sha256(utf8(this.origin)).subarray(0, 4));
    return join(this.directory, `${String(size).padStart(16, '0')}-${log}.checkpoint`);
  }
}

async function unlessGone<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
