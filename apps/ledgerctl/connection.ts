import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, environmentWith } from '#core/platform/config.js';

/** Where the API answers, and with which key. */
export interface Connection {
  readonly url: string;
  readonly key: string;
  close(): Promise<void>;
}

/** Nobody can be asked, and why. */
export class NoConnection extends Error {
  override readonly name = 'NoConnection';
}

/**
 * The server named by LEDGER_URL, else the one that runs on this data directory, else one of our own for as
 * long as the command takes.
 */
export async function connect(config: Config): Promise<Connection> {
  const { ledgerUrl, ledgerApiKey } = config;
  if (ledgerUrl !== undefined) {
    if (ledgerApiKey === undefined)
      throw new NoConnection('LEDGER_URL needs LEDGER_API_KEY beside it');
    return { url: ledgerUrl, key: ledgerApiKey, close: () => Promise.resolve() };
  }
  const running = await runningServer(config);
  if (running?.url !== undefined) {
    const key = ledgerApiKey ?? config.bootstrapKey ?? (await keptKey(config));
    if (key === undefined)
      throw new NoConnection('a server runs on this data directory: set LEDGER_API_KEY');
    return { url: running.url, key, close: () => Promise.resolve() };
  }
  return ownServer(ledgerApiKey);
}

/** The server that runs on the data directory of this configuration; undefined where there is none. */
export async function runningServer(
  config: Config,
): Promise<{ readonly url?: string; readonly databaseUrl?: string } | undefined> {
  try {
    const text = await readFile(join(config.dataDirectory, 'server.json'), 'utf8');
    const { pid, ...server } = JSON.parse(text) as {
      pid: number;
      url?: string;
      databaseUrl?: string;
    };
    process.kill(pid, 0);
    return server;
  } catch {
    // No file, or one that a crash left behind.
    return undefined;
  }
}

async function keptKey({ dataDirectory }: Config): Promise<string | undefined> {
  try {
    return (await readFile(join(dataDirectory, 'keys', 'bootstrap-key'), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

async function ownServer(givenKey: string | undefined): Promise<Connection> {
  const main = fileURLToPath(new URL('../server/main.js', import.meta.url));
  const env = environmentWith({ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn' });
  const child = spawn(process.execPath, [main], {
    env,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const ready = new Promise<{ url: string; key: string }>((resolve) =>
    child.once('message', (message) => resolve(message as { url: string; key: string })),
  );
  const first = await Promise.race([ready, exited]);
  if (first === null || typeof first === 'number')
    throw new NoConnection(said.trim() || 'the store can not be opened');
  return {
    url: first.url,
    key: givenKey ?? first.key,
    close: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
