import { randomBytes } from 'node:crypto';
import path from 'node:path';

/**
 * Layout of `<directory>/postgres`:
 *   data/         the cluster
 *   socket/       the unix socket, mode 0700 (in /tmp when the path is too long or out of reach for a socket)
 *   log           what the server says: no statements, no parameters, no values
 *   owner.json    which process started it; whoever can link this file owns the cluster
 *   binaries-*    a copy of the binaries, only when they can not be run where npm put them
 */
export interface Places {
  root: string;
  data: string;
  socket: string;
  owner: string;
  log: string;
}

export function placesBelow(directory: string): Places {
  const root = path.join(directory, 'postgres');
  return {
    root,
    data: path.join(root, 'data'),
    socket: path.join(root, 'socket'),
    owner: path.join(root, 'owner.json'),
    log: path.join(root, 'log'),
  };
}

/** What is being made beside the file or directory that it will become. */
export function stagedName(file: string): string {
  return `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
}

/** For a new cluster; `mkdtemp` completes it. */
export const NEW_CLUSTER = 'data.new-';

export function isHalfACluster(name: string): boolean {
  return name.startsWith(NEW_CLUSTER);
}

export function isHalfACopy(name: string): boolean {
  return /^binaries-.*\.\d+\.[0-9a-f]+$/.test(name);
}

export function isStagedOwner(name: string): boolean {
  return name.startsWith('owner.json.');
}
