import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedPostgresError, isCode } from './errors.js';
import { readLink, readText } from './files.js';

/** Something that tells this process from any other that has, had or will have its number; undefined: it has ended. */
export function processStart(pid: number): string | undefined {
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

/** The lines of the postmaster's lock file, the first of which is its process number. */
export function lockFile(data: string): string {
  return path.join(data, 'postmaster.pid');
}

export function postmasterPid(data: string): number | undefined {
  const line = readText(lockFile(data))?.split('\n')[0] ?? '';
  return /^\d+$/.test(line) ? Number(line) : undefined;
}

/** Every living process of the cluster in `data`. A postmaster and its children have the data directory as their own. */
export function clusterProcesses(data: string): number[] {
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
export function creatorsOf(directory: string): number[] {
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

/**
 * @param patience in milliseconds
 * @returns the processes of the cluster that are still there
 */
export async function untilGone(data: string, patience: number): Promise<number[]> {
  const deadline = Date.now() + patience;
  for (;;) {
    const left = clusterProcesses(data);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(20);
  }
}

/** Does nothing when it has ended already. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
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
