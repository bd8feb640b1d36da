import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { copyBinaries, copyTargets } from './copy-binaries.js';
import { EmbeddedPostgresError, messageOf } from './errors.js';
import { type InstalledBinaries, linkLibraries } from './npm-package.js';
import type { Places } from './paths.js';
import { type Account, runAs } from './user.js';

/** Binaries that were seen to run: `bin`, `lib` and `share` are below `home`. */
export interface Binaries {
  home: string;
  majorVersion: string;
}

/** Where npm put them if its user can run them there, else in a copy. */
export function makeRunnable(
  installed: InstalledBinaries,
  places: Places,
  account: Account | undefined,
  log: (message: string) => void,
): Binaries {
  const original = path.join(installed.packageRoot, 'native');
  let problem = `${installed.packageRoot} can not be written to`;
  if (linkLibraries(installed.packageRoot, installed.links)) {
    const attempt = tryBinaries(original, account);
    if (attempt.ok) return attempt.binaries;
    problem = attempt.problem;
  }

  for (const parent of copyTargets(places, account)) {
    const copy = path.join(parent, `binaries-${installed.version}`);
    if (!fs.existsSync(copy)) {
      try {
        copyBinaries(installed, copy);
        log(`copied the PostgreSQL binaries to ${copy}, where its user can run them`);
      } catch (error) {
        problem = messageOf(error);
        continue;
      }
    }
    const attempt = tryBinaries(copy, account);
    if (attempt.ok) return attempt.binaries;
    problem = attempt.problem;
  }
  throw new EmbeddedPostgresError(
    'unsupported-platform',
    `The embedded PostgreSQL does not run on this machine: ${problem}. Set DATABASE_URL to a PostgreSQL server.`,
  );
}

function tryBinaries(
  home: string,
  account: Account | undefined,
): { ok: true; binaries: Binaries } | { ok: false; problem: string } {
  let majorVersion = '';
  for (const program of ['postgres', 'initdb']) {
    const result = spawnSync(path.join(home, 'bin', program), ['--version'], {
      ...runAs(account),
      encoding: 'utf8',
    });
    if (result.status !== 0) {
      const said = result.error?.message ?? result.stderr.trim();
      return {
        ok: false,
        problem: said || `${program} ended with ${result.signal ?? result.status}`,
      };
    }
    majorVersion = /(\d+)/.exec(result.stdout)?.[1] ?? '';
  }
  return { ok: true, binaries: { home, majorVersion } };
}
