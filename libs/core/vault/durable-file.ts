import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Files that must survive a power failure: what these functions have returned from is on disk, name and
 * content. Everything is readable by its owner alone (0600, directories 0700).
 */

const OWNER_ONLY = 0o600;
const UNFINISHED = '.unfinished';

// Of its own for each writer: two can not write into one another's.
const unfinishedName = (path: string): string =>
  `${path}.${randomBytes(6).toString('hex')}${UNFINISHED}`;

/** Makes the directory and those above it where they do not exist; leaves existing ones as they are. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first !== undefined) await syncDirectory(dirname(first));
}

/**
 * Creates a file with that content unless it exists; of several processes exactly one succeeds, and no
 * reader ever sees a part of it. Answers whether this call created it.
 */
export async function createFile(path: string, content: string): Promise<boolean> {
  const unfinished = unfinishedName(path);
  await writeSynced(unfinished, 'wx', content);
  try {
    await link(unfinished, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(unfinished);
    await syncDirectory(dirname(path));
  }
}

/** Gives a file new content: a reader, and a restart after a crash, sees the old or the new, whole. */
export async function replaceFile(
  path: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const unfinished = unfinishedName(path);
  const file = await open(unfinished, 'wx', OWNER_ONLY);
  try {
    await write(file);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  await syncDirectory(dirname(path));
}

/** Overwrites what crashes left unfinished beside `path`, then removes it. */
export async function removeUnfinished(path: string): Promise<void> {
  const [directory, name] = [dirname(path), basename(path)];
  for (const entry of await readdir(directory))
    if (entry.startsWith(`${name}.`) && entry.endsWith(UNFINISHED)) {
      const file = await open(join(directory, entry), 'r+');
      try {
        await overwrite(file);
      } finally {
        await file.close();
      }
      await unlink(join(directory, entry));
    }
  await syncDirectory(directory);
}

/**
 * Overwrites an open file with zeros. A best effort: a file system that writes elsewhere (copy on write,
 * flash, snapshots) keeps the old blocks until it reuses them.
 */
export async function overwrite(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  await file.write(Buffer.alloc(size), 0, size, 0);
  await file.sync();
}

/** Appends to a file that exists; ENOENT where it does not. */
export async function appendSynced(path: string, content: string): Promise<void> {
  await stat(path);
  await writeSynced(path, 'a', content);
}

/** A file's lines without their ends, the last one also where it has none; in flat memory. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = '';
  const chunks = createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 18 });
  for await (const chunk of chunks as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() as string;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

export async function syncDirectory(path: string): Promise<void> {
  // Windows can not open a directory for this, and needs no such call.
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function writeSynced(path: string, flags: string, content: string): Promise<void> {
  const file = await open(path, flags, OWNER_ONLY);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The system's error code, `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
