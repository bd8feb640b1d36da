import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedPostgresError, isCode } from './errors.js';
import { isHalfACluster, isHalfACopy, isStagedOwner, type Places } from './paths.js';
import {
  clusterProcesses,
  creatorsOf,
  lockFile,
  postmasterPid,
  sendSignal,
  untilGone,
} from './processes.js';
import { STOP_LADDER } from './stopping.js';

/**
 * Nobody alive owns the cluster, so whatever still runs on it was left by a server that was killed. It is stopped, and
 * with it gone its lock file is void: left in place it would stop the next start if its number went to somebody else.
 */
export async function endLeftovers(places: Places, log: (message: string) => void): Promise<void> {
  await discardHalfDone(places.root);
  await endOrphans(places.data, log);
  fs.rmSync(lockFile(places.data), { force: true });
}

async function discardHalfDone(root: string): Promise<void> {
  for (const name of fs.readdirSync(root)) {
    const file = path.join(root, name);
    const halfDone =
      isHalfACluster(name) ||
      isHalfACopy(name) ||
      // Another process may be trying to become the owner just now, which takes it milliseconds.
      (isStagedOwner(name) && isOlderThan(file, 60_000));
    if (halfDone) await discard(file);
  }
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

function isOlderThan(file: string, milliseconds: number): boolean {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > milliseconds;
}

async function endOrphans(data: string, log: (message: string) => void): Promise<void> {
  const recorded = postmasterPid(data);
  let left = clusterProcesses(data);
  if (left.length === 0) return;
  log(`taking over from a PostgreSQL that a killed server left behind (process ${left[0]})`);
  const orphan = recorded !== undefined && left.includes(recorded) ? recorded : undefined;
  for (const [signal, patience] of STOP_LADDER) {
    // Children whose postmaster is gone end by themselves; those that do not are sent away one by one.
    const targets = orphan !== undefined && left.includes(orphan) ? [orphan] : left;
    for (const pid of targets) {
      sendSignal(pid, signal === 'SIGINT' && pid !== orphan ? 'SIGQUIT' : signal);
    }
    left = await untilGone(data, patience);
    if (left.length === 0) return;
  }
  throw new EmbeddedPostgresError(
    'in-use',
    `${data} is still in use by process ${left.join(', ')}, which does not end.`,
  );
}
