import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isBuilt } from './build.mjs';
import { exclusively } from './lock.mjs';
import { modules, root } from './paths.mjs';
import { SetupError, say, seconds, tail } from './report.mjs';
import { run } from './run.mjs';

const OLDEST_NODE = [20, 19];

/**
 * @param {{compiled: boolean, rebuild?: boolean}} options whether `dist` is needed, too, and made anew in any case
 * @throws {SetupError} with what to tell the user
 */
export async function setUp({ compiled, rebuild = false }) {
  checkNode();
  const isReady = () => {
    return compiled ? isBuilt() && isInstalled({ dev: false }) : isInstalled({ dev: true });
  };
  if (!rebuild && isReady()) return;
  await exclusively(async (guard) => {
    // Whoever held the lock before may have done it.
    if (!rebuild && isReady()) return;
    if (!isInstalled({ dev: true })) await install(guard);
    if (rebuild || (compiled && !isBuilt())) await build(guard);
  });
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new SetupError(
      `Node ${OLDEST_NODE.join('.')} or newer is needed; this is ${process.versions.node}.`,
    );
  }
}

const marker = join(modules, '.consent-ledger');

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex');
}

/**
 * npm keeps a list of what it has installed, which it writes last: after an installation that was cut short there is
 * none. What somebody installed by hand counts as long as it is what the lock file says.
 * @param {{dev: boolean}} options without `dev`: what running the compiled code needs is enough
 */
function isInstalled({ dev }) {
  const hash = lockHash();
  const installed = readPackages(join(modules, '.package-lock.json'));
  if (installed === undefined) return false;
  if (read(marker) === hash) return true;
  const locked = readPackages(join(root, 'package-lock.json'));
  const inPlace = (wanted) =>
    Object.entries(locked).every(([path, entry]) => {
      if (path === '' || !wanted(entry)) return true;
      const found = installed[path];
      if (found === undefined) return entry.optional === true && !isForThisMachine(entry);
      return found.version === entry.version && found.integrity === entry.integrity;
    });
  if (inPlace(() => true) && Object.keys(installed).every((path) => path in locked)) {
    try {
      writeFileSync(marker, hash);
    } catch {
      // Somebody else's folder: compare again next time.
    }
    return true;
  }
  return !dev && inPlace((entry) => entry.dev !== true && entry.devOptional !== true);
}

function isForThisMachine({ os, cpu, libc }) {
  if (libc !== undefined || os === undefined) return false;
  return os.includes(process.platform) && (cpu === undefined || cpu.includes(process.arch));
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

async function install(guard) {
  const began = Date.now();
  say(existsSync(modules) ? 'Updating packages (npm ci) ...' : 'Installing packages (npm ci) ...');
  // With NODE_ENV=production npm would leave out the compiler.
  const command = ['ci', '--include=dev', '--include=optional', '--no-progress'];
  const npm = process.env.npm_execpath;
  const { code, output } = await run(
    npm?.endsWith('.js') ? [process.execPath, npm, ...command] : ['npm', ...command],
    { started: guard },
  );
  if (code !== 0) throw new SetupError(`npm ci failed:\n${tail(output)}`);
  for (const line of remarks(output)) say(line);
  writeFileSync(marker, lockHash());
  say(`Packages installed in ${seconds(began)}.`);
}

/** What npm warned of. Remarks on its own configuration concern the machine, and are left out. */
function remarks(output) {
  const lines = output.split('\n').filter((line) => line.startsWith('npm warn'));
  const engines = lines.filter((line) => /^npm warn EBADENGINE Unsupported/.test(line)).length;
  const others = lines.filter(
    (line) => !/EBADENGINE|Unknown (user|env|global|builtin|cli) config/.test(line),
  );
  return engines === 0
    ? others
    : [...others, `npm: ${engines} packages ask for a newer Node than ${process.version}.`];
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * For the commands: makes the tree ready to run, packages as locked and sources compiled. Does nothing when it is, may
 * run twice at once, and ends the process with a plain message when it fails.
 */
export async function setUpOrExit(options) {
  try {
    await setUp(options);
  } catch (error) {
    say(error instanceof SetupError ? error.message : String(error?.stack ?? error));
    process.exit(1);
  }
}
