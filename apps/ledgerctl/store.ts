import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { type ProjectionStatus, Projector } from '#core/projector/projector.js';
import { openRuntime, type Runtime } from '#core/runtime/runtime.js';
import { eventCatalogue, guards, projections } from '#domains/slices.js';
import { NoConnection, runningServer } from './connection.js';
import { EXIT, type Output } from './output.js';

/**
 * Work on the store itself, beside a running server or without one. @throws NoConnection where only a server
 * elsewhere is named: what would be opened is a store of this machine, and perhaps an empty one.
 */
export async function onStore<T>(
  config: Config,
  run: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  // The embedded database of a running server is one that we can be guests of.
  const running = await runningServer(config);
  if (config.ledgerUrl !== undefined && config.databaseUrl === undefined && !running)
    throw new NoConnection(
      'this command works on the store itself, not through LEDGER_URL: run it where the store is',
    );
  const { databaseUrl } = running ?? {};
  const beside = databaseUrl === undefined ? config : config.with({ databaseUrl });
  const runtime = await openRuntime(
    beside,
    { eventCatalogue, guards },
    openLog('warn', process.stderr),
  );
  try {
    return await run(runtime);
  } finally {
    await runtime.close();
  }
}

export async function serve(): Promise<void> {
  const main = fileURLToPath(new URL('../server/main.js', import.meta.url));
  const child = spawn(process.execPath, [main], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exit(code ?? 1);
}

export function rebuild(config: Config, name: string | undefined, out: Output): Promise<number> {
  return onStore(config, async ({ following, ledger }) => {
    const all = projections();
    const names = name === undefined ? all.map((one) => one.name) : [name];
    if (names.some((one) => !all.some((known) => known.name === one))) {
      out.note(`there is no such projection; there are ${all.map((one) => one.name).join(', ')}`);
      return EXIT.usage;
    }
    const projector = new Projector({ db: following, log: ledger, projections: all });
    try {
      const switched = await projector.rebuild(names, {
        onProgress: ({ done }) => out.progress(`${done} events`),
      });
      const positions = Object.fromEntries(switched);
      out.result(
        { rebuilt: positions },
        names.map((one) => `${one} rebuilt up to ${positions[one]}`).join('\n'),
      );
      return EXIT.ok;
    } finally {
      await projector.stop();
    }
  });
}

export function vaultStatus(config: Config, out: Output): Promise<void> {
  return onStore(config, async ({ vault }) => {
    const status = await vault.status();
    out.result(
      status,
      `epoch ${status.epoch} since ${status.epochStartedAt}: ${status.living} living keys, ${status.destroyed} destroyed`,
    );
  });
}

export function rotateVault(config: Config, out: Output): Promise<void> {
  return onStore(config, async ({ vault }) => {
    const status = await vault.rotate((done, total) => out.progress(`${done} of ${total} keys`));
    out.result(
      status,
      `epoch ${status.epoch} began; copies of destroyed keys from before it open nothing any more`,
    );
  });
}

export function migrateStore(config: Config, out: Output): Promise<void> {
  return onStore(config, ({ migrated }) => {
    out.result({ migrated }, migrated.length === 0 ? 'up to date' : migrated.join('\n'));
    return Promise.resolve();
  });
}

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly says: string;
}

/** How far a read model has come; where it stopped, at which event and why. */
function stateOf({ status, position, laggingSeconds, error }: ProjectionStatus): string {
  if (laggingSeconds === Infinity) return 'not made yet: a server with the role projector makes it';
  const why = error ? `; event ${error.position}: ${error.code}, ${error.message}` : '';
  return `${status} at ${position}, ${Math.round(laggingSeconds)} s behind${why}`;
}

/** What an operator should know before anything goes wrong. */
export async function doctor(config: Config, out: Output): Promise<number> {
  const findings: Finding[] = [];
  const found = (check: string, ok: boolean, says: string) => findings.push({ check, ok, says });
  found('node', true, process.version);
  const keyFile = config.vaultKeyFile ?? join(config.dataDirectory, 'keys', 'epoch-keys.json');
  await onStore(config, async ({ ledger, storeName, vault, following, recording }) => {
    found('event store', true, storeName);
    const head = await ledger.head();
    found(
      'log',
      true,
      head ? `last position ${head.position}, recorded ${head.recordedAt}` : 'empty',
    );
    found(
      'recording',
      recording.missing === undefined,
      recording.finding().detail ?? 'everything that was signed is in the log',
    );
    const { epoch, epochStartedAt, living, destroyed } = await vault.status();
    const days = (Date.now() - Date.parse(epochStartedAt)) / 86_400_000;
    found(
      'key epoch',
      days <= 30,
      `epoch ${epoch} is ${Math.floor(days)} days old; \`ledgerctl vault rotate\` begins the next`,
    );
    found('keys', true, `${living} living, ${destroyed} destroyed`);
    const projector = new Projector({ db: following, log: ledger, projections: projections() });
    for (const readModel of await projector.status())
      found(`read model ${readModel.name}`, readModel.status === 'running', stateOf(readModel));
    await projector.stop();
  });
  const { mode } = await stat(keyFile);
  found('key file', (mode & 0o077) === 0, `${keyFile}, mode ${(mode & 0o777).toString(8)}`);
  if (config.vaultKeyFile === undefined)
    found(
      'key backup',
      true,
      'the epoch keys lie below LEDGER_DATA_DIR/keys: back that directory up apart from the database, or lose every sealed value with it',
    );
  await access(config.dataDirectory, constants.W_OK).then(
    () => found('data directory', true, `${config.dataDirectory} can be written`),
    () => found('data directory', false, `${config.dataDirectory} can not be written`),
  );
  const ok = findings.every((one) => one.ok);
  out.result(
    { ok, findings },
    findings.map((one) => `${one.ok ? 'ok   ' : 'LOOK '} ${one.check}: ${one.says}`).join('\n'),
  );
  return ok ? EXIT.ok : EXIT.findings;
}
