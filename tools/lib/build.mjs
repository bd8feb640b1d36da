import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cache, dist, modules, root } from './paths.mjs';
import { SetupError, say, seconds, tail } from './report.mjs';
import { run } from './run.mjs';

const hashFile = join(dist, '.build-hash');

/** Everything that decides what `dist` holds. */
const SETTINGS = [
  'package.json',
  'package-lock.json',
  'nest-cli.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tools/lib/build.mjs',
];

export function isBuilt() {
  return read(hashFile) === sourceHash();
}

/**
 * Compiles apps and libs in one program with the Nest compiler, which adds what the OpenAPI document needs. Made beside
 * and exchanged when complete: nobody ever sees half of it. The caller holds the lock.
 */
export async function build(guard) {
  const began = Date.now();
  say('Compiling ...');
  const hash = sourceHash();
  const staged = join(root, `dist.new-${process.pid}`);
  const config = join(cache, `tsconfig.${process.pid}.json`);
  sweep();
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(
      config,
      JSON.stringify({
        extends: join(root, 'tsconfig.build.json'),
        compilerOptions: { outDir: staged },
      }),
    );
    const compiler = join(modules, '@nestjs', 'cli', 'bin', 'nest.js');
    const { code, output } = await run(
      [process.execPath, compiler, 'build', '--path', relative(root, config)],
      { started: guard },
    );
    if (code !== 0) throw new SetupError(`The sources do not compile:\n${tail(output)}`);
    copyAssets(staged);
    writeFileSync(join(staged, '.build-hash'), hash);
    exchange(staged);
  } finally {
    rmSync(config, { force: true });
    rmSync(staged, { recursive: true, force: true });
  }
  say(`Compiled in ${seconds(began)}.`);
}

function exchange(staged) {
  const old = join(root, `dist.old-${process.pid}`);
  try {
    renameSync(dist, old);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  renameSync(staged, dist);
  rmSync(old, { recursive: true, force: true });
}

/** What builds that were killed have left. */
function sweep() {
  for (const name of readdirSync(root)) {
    if (/^dist\.(new|old)-\d+$/.test(name)) {
      rmSync(join(root, name), { recursive: true, force: true });
    }
  }
}

/** Files beside the code that it reads at run time: SQL, pages, styles. */
function copyAssets(staged) {
  for (const file of sources()) {
    if (file.endsWith('.ts') || file.endsWith('.md')) continue;
    mkdirSync(dirname(join(staged, file)), { recursive: true });
    cpSync(join(root, file), join(staged, file));
  }
}

function sourceHash() {
  const hash = createHash('sha256');
  for (const file of [...SETTINGS, ...sources()]) {
    const content = readFileSync(join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Pages that run in a browser. */
const OWN_BUILD = ['apps/console', 'apps/verify'];

/** Files of apps and libs, without specs and without what has a build of its own. */
function sources() {
  const found = [];
  const visit = (folder) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules' && !OWN_BUILD.includes(path)) visit(path);
      } else if (!entry.name.endsWith('.spec.ts') && !entry.name.startsWith('.')) {
        found.push(path);
      }
    }
  };
  for (const folder of ['apps', 'libs']) {
    if (statSync(join(root, folder), { throwIfNoEntry: false })) visit(folder);
  }
  return found.sort();
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
