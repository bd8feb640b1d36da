import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { EmbeddedPostgresError } from './errors.js';
import type { Places } from './paths.js';
import { canEnter } from './reach.js';
import type { Account } from './user.js';

const SOCKET_NAME = '.s.PGSQL.5432';
/** `sockaddr_un` holds 108 bytes on Linux and 104 on macOS; PostgreSQL appends `.lock` to the name of the socket. */
const SOCKET_PATH_LIMIT = 100;
/** Of directories outside our own. */
const PREFIX = 'ledger-postgres-';

export async function makeSocketDirectory(
  places: Places,
  account: Account | undefined,
): Promise<string> {
  const own = places.socket;
  if (isNameForSocket(own)) {
    fs.rmSync(own, { recursive: true, force: true });
    fs.mkdirSync(own, { mode: 0o700 });
    fs.chmodSync(own, 0o700);
    if (await isUsable(own, account)) return own;
    fs.rmSync(own, { recursive: true, force: true });
  }
  for (const parent of ['/tmp', os.tmpdir(), '/var/tmp']) {
    let directory: string;
    try {
      directory = fs.mkdtempSync(path.join(parent, PREFIX));
    } catch {
      continue;
    }
    if (isNameForSocket(directory) && (await isUsable(directory, account))) return directory;
    fs.rmSync(directory, { recursive: true, force: true });
  }
  throw new EmbeddedPostgresError(
    'out-of-reach',
    'Found no directory for the unix socket of PostgreSQL: neither below LEDGER_DATA_DIR nor in /tmp.',
  );
}

/** Commas, quotes and spaces have a meaning in the list of socket directories. */
function isNameForSocket(directory: string): boolean {
  return (
    /^\/[\w./+~-]+$/.test(directory) &&
    Buffer.byteLength(path.join(directory, `${SOCKET_NAME}.lock`)) < SOCKET_PATH_LIMIT
  );
}

/** Gives the directory to the account, and tries whether that is enough. */
async function isUsable(directory: string, account: Account | undefined): Promise<boolean> {
  if (account !== undefined) fs.chownSync(directory, account.uid, account.gid);
  return canEnter(directory, account) && (await holdsSockets(directory));
}

/** Some shared volumes hold files but no sockets. */
function holdsSockets(directory: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(path.join(directory, '.probe'), () => probe.close(() => resolve(true)));
  });
}

/** Leaves alone what is not known to be ours: the name may come from a file. */
export function removeSocketDirectory(places: Places, directory: string): void {
  const ours = directory === places.socket || path.basename(directory).startsWith(PREFIX);
  if (ours) fs.rmSync(directory, { recursive: true, force: true });
}

/** Whether a server listens there. One that is too busy to accept counts. */
export function answers(socketDirectory: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(path.join(socketDirectory, SOCKET_NAME));
    const done = (verdict: boolean) => {
      connection.destroy();
      resolve(verdict);
    };
    connection.once('connect', () => done(true));
    connection.once('error', () => done(false));
    connection.setTimeout(2_000, () => done(true));
  });
}
