import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.js';
import { readText } from './files.js';
import { readFrom, rotateLog } from './log-file.js';
import type { Places } from './paths.js';
import { lockFile } from './processes.js';
import { handOver } from './reach.js';
import { type Account, runAs } from './user.js';

export interface Plan {
  binaries: Binaries;
  places: Places;
  account: Account | undefined;
  settings: Record<string, string>;
  socketDirectory: string;
  log: (message: string) => void;
}

export interface EmbeddedPostgresExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One that was ready for connections. */
export interface Postmaster {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly exited: Promise<EmbeddedPostgresExit>;
  readonly hasEnded: () => boolean;
}

export type Attempt =
  | { state: 'ready'; postmaster: Postmaster }
  | { state: 'ended'; exit: EmbeddedPostgresExit; output: string };

/** Waits as long as a recovery takes. */
export async function startPostmaster(plan: Plan): Promise<Attempt> {
  const { places } = plan;
  const logFrom = rotateLog(places.log);
  const child = spawnPostmaster(plan);

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
  return {
    state: 'ready',
    postmaster: { pid, child, exited, hasEnded: () => ended !== undefined },
  };
}

function spawnPostmaster(plan: Plan): ChildProcess {
  const { places, account, socketDirectory } = plan;
  const settings = { ...plan.settings, unix_socket_directories: socketDirectory };
  const descriptor = fs.openSync(places.log, 'a', 0o600);
  if (account !== undefined) fs.fchownSync(descriptor, account.uid, account.gid);
  const data = handOver(places.data, account);
  const stdio: StdioOptions = ['ignore', descriptor, descriptor, ...data.extra];
  try {
    return spawn(
      path.join(plan.binaries.home, 'bin', 'postgres'),
      [
        '-D',
        data.argument,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      // Detached: a Ctrl-C at the terminal is for the server, which stops this one when it is done with it.
      { ...runAs(account), stdio, detached: true },
    );
  } finally {
    fs.closeSync(descriptor);
    data.close();
  }
}

/** The postmaster keeps its state in line 8 of its lock file. */
function isReady(data: string, pid: number | undefined): boolean {
  const lines = readText(lockFile(data))?.split('\n') ?? [];
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}
