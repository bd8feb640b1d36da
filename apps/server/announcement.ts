import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '#core/platform/config.js';
import type { Server } from './server.js';

/**
 * Tells the command line on this machine where the server of a data directory is: a file below it that only
 * its owner can read, and a message to the process that started us. Returns how to take it back.
 */
export async function announce(
  config: Config,
  { url, key, runtime }: Server,
): Promise<() => Promise<void>> {
  const file = join(config.dataDirectory, 'server.json');
  const { databaseUrl } = runtime;
  const embedded = config.databaseUrl === undefined ? { databaseUrl } : {};
  // With database and keys elsewhere nobody has needed the directory yet.
  await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify({ pid: process.pid, url, ...embedded }), { mode: 0o600 });
  process.send?.({ url, key });
  return () => rm(file, { force: true });
}
