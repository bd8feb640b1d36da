import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Binaries } from './binaries.js';
import { giveAway } from './directory.js';
import { EmbeddedPostgresError } from './errors.js';
import { readText } from './files.js';
import { NEW_CLUSTER, type Places } from './paths.js';
import { handOver } from './reach.js';
import { type Account, hasName, runAs, serviceAccount } from './user.js';

export const SUPERUSER = 'postgres';

/** Creates it when there is none, and leaves alone what another version wrote. */
export async function ensureCluster(
  binaries: Binaries,
  places: Places,
  account: Account | undefined,
  log: (message: string) => void,
): Promise<void> {
  const found = readText(path.join(places.data, 'PG_VERSION'))?.trim();
  if (found !== undefined) {
    if (found !== binaries.majorVersion) {
      throw new EmbeddedPostgresError(
        'version-mismatch',
        `${places.data} was written by PostgreSQL ${found}, the embedded one is ${binaries.majorVersion}: ` +
          'export with the old version and import with this one.',
      );
    }
    fs.chmodSync(places.data, 0o700);
    return;
  }
  if (fs.existsSync(places.data)) {
    if (fs.readdirSync(places.data).length > 0) {
      throw new EmbeddedPostgresError(
        'not-a-cluster',
        `${places.data} is neither empty nor a PostgreSQL data directory.`,
      );
    }
    fs.rmdirSync(places.data);
  }
  log(`creating a PostgreSQL cluster in ${places.data}`);
  await createCluster(binaries, places, account);
}

/** Made beside and renamed when complete: a start that is killed half-way leaves no half of a cluster. */
async function createCluster(
  binaries: Binaries,
  places: Places,
  account: Account | undefined,
): Promise<void> {
  const staging = fs.mkdtempSync(path.join(places.root, NEW_CLUSTER));
  // initdb wants to know its user by name, the server does not: a user without one gets the cluster from another.
  const creator = account === undefined || hasName(account) ? account : serviceAccount();
  if (creator !== undefined) fs.chownSync(staging, creator.uid, creator.gid);
  const target = handOver(staging, creator);
  try {
    const { code, output } = await initdb(binaries, target.argument, creator, target.extra);
    if (code !== 0) {
      throw new EmbeddedPostgresError(
        'start-failed',
        `PostgreSQL could not create a cluster in ${places.data}: ${output.trim()}` +
          (output.includes('user does not exist')
            ? ' (it needs an entry for this user in /etc/passwd; or set DATABASE_URL)'
            : ''),
      );
    }
    if (account !== undefined && creator !== account) giveAway(staging, account);
    fs.renameSync(staging, places.data);
    syncDirectory(places.root);
  } finally {
    target.close();
    fs.rmSync(staging, { recursive: true, force: true });
  }
}

/** @returns its exit code, and what it said on stderr */
function initdb(
  binaries: Binaries,
  directory: string,
  account: Account | undefined,
  extra: number[],
): Promise<{ code: number | null; output: string }> {
  const args = [
    `--pgdata=${directory}`,
    `--username=${SUPERUSER}`,
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--auth=trust',
    '--no-instructions',
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(binaries.home, 'bin', 'initdb'), args, {
      ...runAs(account),
      stdio: ['ignore', 'pipe', 'pipe', ...extra],
    });
    let output = '';
    child.stdout?.resume();
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
