import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { EmbeddedPostgresError } from './errors.js';

export interface Account {
  uid: number;
  gid: number;
  name: string;
}

/** The only variables the server sees: nothing of ours leaks into it, and its messages and clock do not vary. */
const ENVIRONMENT: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

/** How a program of PostgreSQL is spawned; without an account, as the user we are. */
export function runAs(account: Account | undefined): {
  uid?: number;
  gid?: number;
  cwd: string;
  env: NodeJS.ProcessEnv;
} {
  const who = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  return { ...who, cwd: '/', env: ENVIRONMENT };
}

/** Undefined where it is root's or missing. */
export function ordinaryOwner(directory: string): Account | undefined {
  const stat = fs.statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined || stat.uid === 0) return undefined;
  return { uid: stat.uid, gid: stat.gid, name: `user ${stat.uid}` };
}

export function serviceAccount(): Account {
  for (const name of ['postgres', 'nobody']) {
    const uid = idOf('-u', name);
    const gid = idOf('-g', name);
    if (uid !== undefined && gid !== undefined && uid !== 0) return { uid, gid, name };
  }
  throw new EmbeddedPostgresError(
    'out-of-reach',
    'PostgreSQL refuses to run as root, and there is neither a user "postgres" nor "nobody" to run it as. ' +
      'Start as an ordinary user, or set DATABASE_URL.',
  );
}

function idOf(which: '-u' | '-g', name: string): number | undefined {
  const result = spawnSync('id', [which, name], { encoding: 'utf8' });
  const text = result.status === 0 ? result.stdout.trim() : '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

export function hasName(account: Account): boolean {
  return spawnSync('id', ['-un', String(account.uid)], { encoding: 'utf8' }).status === 0;
}
