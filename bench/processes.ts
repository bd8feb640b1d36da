import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const typescript = join(root, 'test', 'support', 'typescript.mjs');

/** What `npx ledgerctl` starts Node with. */
const [shebang = ''] = readFileSync(join(root, 'tools', 'ledgerctl.mjs'), 'utf8').split('\n');
const commandLineOptions = nodeOptionsIn(shebang);

/** What a command that starts Node tells it. */
export function nodeOptionsIn(command: string): readonly string[] {
  return command.split(' ').filter((word) => word.startsWith('--'));
}

/** A process that was started for a measurement and told us that it is ready. */
export interface Started<Ready> {
  readonly process: ChildProcess;
  readonly ready: Ready;
  stop(): Promise<void>;
}

export interface Starting {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Where its standard output goes; nowhere without one. */
  readonly logFile?: string;
  readonly nodeOptions?: readonly string[];
}

/** Settings of whoever runs the benchmark must not reach what it measures. */
const inherited = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(PORT|HOST|LOG_LEVEL|EVENT_STORE|DATABASE_URL|LEDGER_|VAULT_|KURRENTDB_)/.test(name),
  ),
);

/** A file of the bench, in a process of its own; its first message is that it is ready. */
export function startOwn<Ready>(file: string, starting: Starting = {}): Promise<Started<Ready>> {
  const main = join(import.meta.dirname, file);
  return start<Ready>(main, {
    ...starting,
    nodeOptions: ['--import', typescript, ...(starting.nodeOptions ?? [])],
  });
}

/** A compiled application; its first message is that it is ready. */
export function startApp<Ready>(name: string, starting: Starting): Promise<Started<Ready>> {
  return start<Ready>(appFile(name), starting);
}

export function appFile(name: string): string {
  return join(root, 'dist', 'apps', name, 'main.js');
}

async function start<Ready>(
  main: string,
  { args = [], environment = {}, logFile, nodeOptions = [] }: Starting,
): Promise<Started<Ready>> {
  const child = spawn(process.execPath, [...nodeOptions, main, ...args], {
    env: { ...inherited, ...environment },
    stdio: ['ignore', logFile === undefined ? 'ignore' : openSync(logFile, 'a'), 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'exit');
  let stopping = false;
  child.once('exit', (code, signal) => {
    if (!stopping) process.stderr.write(`${main} ended by itself (${code ?? signal}):\n${said}\n`);
  });
  const first = (await Promise.race([once(child, 'message'), ended])) as [Ready | number | null];
  if (child.exitCode !== null || child.signalCode !== null)
    throw new Error(`${main} did not start:\n${said.trim()}`);
  return {
    process: child,
    ready: first[0] as Ready,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      stopping = true;
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Runs a command line to its end; rejects with what it said where it did not succeed. */
export async function run(
  main: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly stdout: string; readonly peakMb: number }> {
  const child = spawn(process.execPath, [...commandLineOptions, main, ...args], {
    env: { ...inherited, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (stderr = (stderr + text).slice(-4_000)));
  const memory = watchMemory(child.pid as number);
  const [code] = (await once(child, 'close')) as [number | null];
  const peakMb = memory.stop();
  if (code !== 0) throw new Error(`${main} ${args.join(' ')} ended with ${code}:\n${stderr}`);
  return { stdout, peakMb };
}

/** The most resident memory that a process had while it was watched, in MB. */
export function watchMemory(pid: number): { stop(): number } {
  let peak = 0;
  const look = async () => {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(
      await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''),
    )?.[1];
    peak = Math.max(peak, Number(kilobytes ?? 0) / 1_024);
  };
  void look();
  const timer = setInterval(() => void look(), 100);
  return {
    stop: () => {
      clearInterval(timer);
      return Math.round(peak);
    },
  };
}
