import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
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

/** Jest loads this file without its own transformations, and the launcher needs no build: one folder, compiled here. */
async function launcher() {
  const source = join(root, 'libs', 'core', 'platform', 'embedded-postgres');
  const cache = join(root, 'node_modules', '.cache', 'consent-ledger');
  mkdirSync(cache, { recursive: true });
  const compiled = mkdtempSync(join(cache, 'embedded-postgres-'));
  try {
    writeFileSync(join(compiled, 'package.json'), '{ "type": "module" }');
    for (const name of readdirSync(source).filter((entry) => /^[^.]+\.ts$/.test(entry))) {
      const { code } = transformFileSync(join(source, name), {
        swcrc: false,
        module: { type: 'es6' },
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      });
      writeFileSync(join(compiled, name.replace(/ts$/, 'js')), code);
    }
    return await import(pathToFileURL(join(compiled, 'start.js')).href);
  } finally {
    rmSync(compiled, { recursive: true, force: true });
  }
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
