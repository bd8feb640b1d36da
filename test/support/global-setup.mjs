import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformFileSync } from '@swc/core';

const PREFIX = 'consent-ledger-test-';
const root = join(import.meta.dirname, '..', '..');

/** Jest loads this file without its own transformations, and a launcher needs no build: one file, compiled here. */
async function launcher() {
  const source = join(root, 'libs', 'core', 'platform', 'embedded-postgres.ts');
  const { code } = transformFileSync(source, {
    swcrc: false,
    module: { type: 'es6' },
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
  });
  const folder = join(root, 'node_modules', '.cache', 'consent-ledger');
  const file = join(folder, `embedded-postgres-${hash(code)}.mjs`);
  mkdirSync(folder, { recursive: true });
  const staged = `${file}.${randomBytes(4).toString('hex')}`;
  writeFileSync(staged, code);
  renameSync(staged, file);
  return import(pathToFileURL(file).href);
}

function hash(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** A run that was killed leaves its PostgreSQL behind; the next one ends it. One that is still going on is let be. */
async function sweep(startEmbeddedPostgres) {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    try {
      if (Date.now() - statSync(folder).mtimeMs < 60_000) continue;
      if (existsSync(join(folder, 'data', 'postgres', 'data'))) {
        const leftover = await startEmbeddedPostgres({ directory: join(folder, 'data') });
        await leftover.stop();
      }
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // In use, or somebody else's.
    }
  }
}

/** One PostgreSQL for the run; every spec that needs a database makes its own with `freshDatabase()`. */
export default async function setUp() {
  if (process.env.TEST_POSTGRES_URL !== undefined) return;
  const { startEmbeddedPostgres } = await launcher();
  await sweep(startEmbeddedPostgres);
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  chmodSync(folder, 0o711);
  const server = await startEmbeddedPostgres({ directory: join(folder, 'data') });
  process.env.TEST_POSTGRES_URL = server.url;
  globalThis.testPostgres = { server, folder };
}
