import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { WorkerSettings } from './worker.js';

export interface Child {
  readonly process: ChildProcess;
  readonly said: Record<string, unknown>[];
  /** What it wrote to stderr. */
  readonly complaints: () => string;
  readonly ended: Promise<void>;
  send(signal: NodeJS.Signals): void;
  /** Ends it whatever it does, frozen or not. */
  kill(): Promise<void>;
}

/** Starts a worker in a process of its own, which can really be killed and frozen. */
export function startWorker(
  settings: WorkerSettings,
  onSaid?: (line: Record<string, unknown>) => void,
): Child {
  const here = import.meta.dirname;
  const child = spawn(
    process.execPath,
    [
      '--import',
      join(here, '..', '..', 'support', 'typescript.mjs'),
      join(here, 'worker.ts'),
      JSON.stringify(settings),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const said: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Record<string, unknown>;
    said.push(message);
    onSaid?.(message);
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    process: child,
    said,
    complaints: () => complaints,
    ended,
    send: (signal) => void child.kill(signal),
    kill: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
