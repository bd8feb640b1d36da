import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { EmbeddedPostgresError } from './errors.js';
import { type Account, runAs } from './user.js';

/** Asks the kernel rather than reading modes: access lists and mount options count, too. */
export function canEnter(directory: string, account: Account | undefined): boolean {
  if (account === undefined) return true;
  const result = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', directory], runAs(account));
  return result.status === 0;
}

/**
 * How a child process names a directory. When its account can not pass one of the parents (root's home), the directory
 * is handed over as an open file instead, which Linux lets it enter by number: `extra` must follow the three standard
 * streams in its `stdio`.
 */
export function handOver(
  directory: string,
  account: Account | undefined,
): { argument: string; extra: number[]; close: () => void } {
  if (canEnter(directory, account)) {
    return { argument: directory, extra: [], close: () => undefined };
  }
  if (process.platform !== 'linux') {
    throw new EmbeddedPostgresError(
      'out-of-reach',
      `The user "${account?.name}", which runs PostgreSQL when the server is started by root, can not enter ${directory}. ` +
        'Choose another LEDGER_DATA_DIR, start as an ordinary user, or set DATABASE_URL.',
    );
  }
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  return {
    argument: '/proc/self/fd/3',
    extra: [descriptor],
    close: () => fs.closeSync(descriptor),
  };
}
