import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import type { CallerSettings } from './caller-process.js';

/** An answer with a receipt, as it was written to the disk before anything else was asked. */
export interface Acknowledged {
  readonly status: number;
  readonly receiptId: string;
  readonly subjectId: string;
  /** Events that were asked for: each call is for some of them, or none. */
  readonly asked: number;
  readonly events: readonly {
    readonly id: string;
    readonly revision: number;
    readonly position: string;
  }[];
  /** How often it was sent. */
  readonly attempts: number;
}

/** What became of single calls, with or without a receipt. */
export interface CallsSoFar {
  readonly acknowledged: number;
  /** Milliseconds of the longest call that reached a server. */
  readonly longest: number;
  /** Calls that nobody answered in time. */
  readonly givenUp: number;
  /** Answers that said: not now. */
  readonly refused: number;
  /** Answers that nobody should get, in words. */
  readonly findings: readonly string[];
}

/** A process of its own that calls without a pause and remembers what it was told, on the disk. */
export interface Caller {
  readonly soFar: () => CallsSoFar;
  /** Lets what was begun come to its answer, however often it must be sent, and ends. */
  stop(): Promise<void>;
  kill(): void;
  /** Everything that was acknowledged, from the disk. */
  acknowledged(): readonly Acknowledged[];
}

export function startCaller(settings: CallerSettings): Caller {
  const here = import.meta.dirname;
  const loader = join(here, '..', 'support', 'typescript.mjs');
  const child = spawn(
    process.execPath,
    ['--import', loader, join(here, 'caller-process.ts'), JSON.stringify(settings)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const none = { acknowledged: 0, longest: 0, givenUp: 0, refused: 0, findings: [] };
  let soFar: CallsSoFar = none;
  createInterface({ input: child.stdout }).on('line', (line) => {
    soFar = JSON.parse(line) as CallsSoFar;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', (code) =>
      code === 0 || code === null ? resolve() : reject(new Error(`the caller ended with ${code}`)),
    );
  });
  ended.catch(() => undefined);
  return {
    soFar: () => soFar,
    stop: () => {
      child.stdin.end();
      return ended;
    },
    kill: () => void child.kill('SIGKILL'),
    acknowledged: () =>
      readFileSync(settings.file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Acknowledged),
  };
}
