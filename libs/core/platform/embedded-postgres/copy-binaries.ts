import fs from 'node:fs';
import path from 'node:path';
import { isCode } from './errors.js';
import { type InstalledBinaries, linkLibraries } from './npm-package.js';
import { type Places, stagedName } from './paths.js';
import { canEnter } from './reach.js';
import type { Account } from './user.js';

/** Directories for a copy of the binaries, best first. Only root may create the ones outside our own directory. */
export function copyTargets(places: Places, account: Account | undefined): string[] {
  if (account === undefined) return [places.root];
  return [
    ...(canEnter(places.root, account) ? [places.root] : []),
    '/var/lib/consent-ledger',
    '/var/cache/consent-ledger',
    '/opt/consent-ledger',
  ];
}

/** Does nothing when another process has made the same copy in the meantime. */
export function copyBinaries(installed: InstalledBinaries, destination: string): void {
  const staging = stagedName(destination);
  try {
    fs.mkdirSync(path.dirname(destination), { recursive: true, mode: 0o755 });
    fs.cpSync(path.join(installed.packageRoot, 'native'), path.join(staging, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a') && path.basename(source) !== 'pkgconfig',
    });
    linkLibraries(
      staging,
      installed.links.filter(({ source }) => fs.existsSync(path.join(staging, source))),
    );
    openToAll(staging);
    fs.renameSync(path.join(staging, 'native'), destination);
  } catch (error) {
    if (!isCode(error, 'EEXIST', 'ENOTEMPTY')) throw error;
  } finally {
    fs.rmSync(staging, { recursive: true, force: true });
  }
}

/** Readable for every account, whatever the umask; the executable bit stays with the programs and directories. */
function openToAll(root: string): void {
  for (const entry of fs.readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const executable = entry.isDirectory() || path.basename(entry.parentPath) === 'bin';
    fs.chmodSync(file, executable ? 0o755 : 0o644);
  }
}
