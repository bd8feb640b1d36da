import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './paths.mjs';

const file = join(root, '.setup.lock');

/**
 * Runs `work` while no other process of this tree runs its own. The lock of a process that is gone is void, unless a
 * child that it started outlived it: then the lock is the child's, for as long as it takes.
 * @param {(guard: (pid: number) => void) => Promise<void>} work tells `guard` of each child it starts
 */
export async function exclusively(work) {
  const self = identify(process.pid);
  let mine = JSON.stringify([self]);
  let waited = false;
  while (!take(mine)) {
    const holder = read(file);
    if (holder !== undefined && isAlive(holder)) {
      if (!waited) process.stderr.write('Waiting for another setup of this tree to finish.\n');
      waited = true;
      await sleep(200);
    } else {
      discard(holder);
    }
  }
  try {
    await work((pid) => {
      mine = JSON.stringify([self, identify(pid)]);
      writeFileSync(`${file}.${process.pid}`, mine);
      renameSync(`${file}.${process.pid}`, file);
    });
  } finally {
    if (read(file) === mine) rmSync(file, { force: true });
  }
}

/** A link appears with its content or not at all. */
function take(mine) {
  const staged = `${file}.${process.pid}`;
  writeFileSync(staged, mine);
  try {
    linkSync(staged, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(staged, { force: true });
  }
}

/** Removes what was judged void; what somebody else took in the meantime is put back. */
function discard(judged) {
  const aside = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  try {
    if (read(aside) !== judged) linkSync(aside, file);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isAlive(holder) {
  try {
    return JSON.parse(holder).some(({ pid, started }) => exists(pid) && startOf(pid) === started);
  } catch {
    return false;
  }
}

function exists(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function identify(pid) {
  return { pid, started: startOf(pid) };
}

/** Tells a process from another that was given its number later; null where there is no /proc. */
function startOf(pid) {
  const stat = read(`/proc/${pid}/stat`);
  return stat === undefined ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
