import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedPostgresError, isCode } from './errors.js';
import { readJson, readLink } from './files.js';
import { type Places, stagedName } from './paths.js';
import { processStart } from './processes.js';
import { answers } from './socket.js';

interface OwnerRecord {
  pid: number;
  /** When that process started, so that another one which was given the same number is not mistaken for it. */
  started: string;
  /** Process numbers mean something only inside their namespace. */
  namespace: string;
  host: string;
  socketDirectory: string | null;
}

/**
 * Takes the cluster for this process: whoever links `owner.json` has it. A record whose process is gone is void.
 * @returns the void record, if there was one
 */
export async function claim(places: Places): Promise<OwnerRecord | undefined> {
  let previous: OwnerRecord | undefined;
  for (let attempt = 0; attempt < 20; attempt++) {
    const staged = stage(places, null);
    try {
      fs.linkSync(staged, places.owner);
      return previous;
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    } finally {
      fs.rmSync(staged, { force: true });
    }

    const holder = readJson<OwnerRecord>(places.owner);
    if (holder !== undefined && (await isAlive(holder))) {
      const where = holder.host === os.hostname() ? '' : ` on ${holder.host}`;
      throw new EmbeddedPostgresError(
        'in-use',
        `${path.dirname(places.root)} is in use by process ${holder.pid}${where}. ` +
          'Stop it first, or give this one another LEDGER_DATA_DIR.',
      );
    }
    previous = holder ?? previous;
    retire(places.owner, holder);
    await sleep(5);
  }
  throw new EmbeddedPostgresError('in-use', `${places.owner} is being fought over; try again.`);
}

/** Removes a void record, and puts back one that another process linked in the meantime. */
function retire(file: string, judged: OwnerRecord | undefined): void {
  const aside = stagedName(file);
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const found = readJson<OwnerRecord>(aside);
  if (
    found !== undefined &&
    (found.pid !== judged?.pid ||
      found.started !== judged.started ||
      found.namespace !== judged.namespace)
  ) {
    try {
      fs.linkSync(aside, file);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
  }
  fs.rmSync(aside, { force: true });
}

export function release(places: Places): void {
  const holder = readJson<OwnerRecord>(places.owner);
  const us = ourselves();
  if (holder?.pid === us.pid && holder.started === us.started) {
    fs.rmSync(places.owner, { force: true });
  }
}

/** For whoever comes after us: a socket outside the directory is removed, one of another container is asked. */
export function recordSocketDirectory(places: Places, socketDirectory: string): void {
  fs.renameSync(stage(places, socketDirectory), places.owner);
}

/** @returns the file, which is to become `owner.json` */
function stage(places: Places, socketDirectory: string | null): string {
  const staged = stagedName(places.owner);
  const record: OwnerRecord = { ...ourselves(), socketDirectory };
  fs.writeFileSync(staged, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  return staged;
}

function ourselves(): Omit<OwnerRecord, 'socketDirectory'> {
  return {
    pid: process.pid,
    started: processStart(process.pid) ?? '',
    namespace: readLink('/proc/self/ns/pid') ?? '',
    host: os.hostname(),
  };
}

async function isAlive(holder: OwnerRecord): Promise<boolean> {
  const us = ourselves();
  if (holder.namespace === us.namespace && holder.host === us.host) {
    return processStart(holder.pid) === holder.started;
  }
  // Another container on the same files: its processes can not be seen from here, but its socket can.
  return holder.socketDirectory !== null && answers(holder.socketDirectory);
}
