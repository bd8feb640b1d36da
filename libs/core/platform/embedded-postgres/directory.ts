import fs from 'node:fs';
import path from 'node:path';
import { EmbeddedPostgresError, messageOf } from './errors.js';
import { type Places, placesBelow } from './paths.js';
import { type Account, ordinaryOwner, serviceAccount } from './user.js';

/**
 * PostgreSQL refuses to run as root. Started by root it runs as the ordinary user who owns the directory, else as
 * `postgres` or `nobody`, who is given it. Started by anybody else it runs as that user.
 */
export function prepareDirectory(directory: string): {
  places: Places;
  account: Account | undefined;
} {
  const created = mkdirOwned(directory);
  const places = placesBelow(fs.realpathSync(directory));
  mkdirOwned(places.root);

  if (process.getuid?.() !== 0) {
    refuseOthers(places);
    return { places, account: undefined };
  }
  const account =
    [places.data, places.root, directory].map(ordinaryOwner).find((owner) => owner !== undefined) ??
    serviceAccount();
  if (created) fs.chownSync(directory, account.uid, account.gid);
  return { places, account };
}

/** @returns whether it was missing */
function mkdirOwned(directory: string): boolean {
  try {
    return fs.mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined;
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'out-of-reach',
      `${directory} can not be created: ${messageOf(cause)}.`,
      { cause },
    );
  }
}

function refuseOthers({ root, data }: Places): void {
  try {
    fs.accessSync(root, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    if (fs.existsSync(data)) fs.accessSync(data, fs.constants.W_OK);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'out-of-reach',
      `${root} belongs to user ${fs.statSync(root).uid}: start as that user or as root, or choose another LEDGER_DATA_DIR.`,
      { cause },
    );
  }
}

/** A restored backup or a copy made by root may belong to root: PostgreSQL insists on owning its files. */
export function giveAway(root: string, account: Account): void {
  const stat = fs.lstatSync(root, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (stat.uid !== account.uid || stat.gid !== account.gid) {
    fs.lchownSync(root, account.uid, account.gid);
  }
  if (!stat.isDirectory()) return;
  for (const name of fs.readdirSync(root)) {
    if (!name.startsWith('binaries-')) giveAway(path.join(root, name), account);
  }
}
