import { SUPERUSER } from './cluster.js';
import { release } from './owner.js';
import type { Places } from './paths.js';
import type { EmbeddedPostgresExit, Postmaster } from './postmaster.js';
import { removeSocketDirectory } from './socket.js';
import { killCluster, stopPostmaster } from './stopping.js';

export interface EmbeddedPostgres {
  /** Connection string for the database `postgres`, as its superuser: `postgres://postgres@/postgres?host=/directory`. */
  readonly url: string;
  /** Process id of the postmaster. */
  readonly pid: number;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly logFile: string;
  /** Resolves when the postmaster has ended, however it came about. Never rejects. */
  readonly exited: Promise<EmbeddedPostgresExit>;
  /** Ends sessions, writes a checkpoint and stops. Call it after the pool has closed; a second call changes nothing. */
  stop(): Promise<void>;
  /** For crash tests: SIGKILL to the postmaster and every process of its cluster, as if the power had failed. */
  kill(): Promise<void>;
}

/** From here on the directory is given back as soon as the postmaster ends. */
export function serverOn(
  postmaster: Postmaster,
  places: Places,
  socketDirectory: string,
): EmbeddedPostgres {
  const { pid, exited } = postmaster;
  // Before anybody else waits for it: who does finds the directory free.
  void exited.then(() => {
    removeSocketDirectory(places, socketDirectory);
    release(places);
  });
  let stopping: Promise<void> | undefined;
  return {
    url: `postgres://${SUPERUSER}@/postgres?host=${encodeURIComponent(socketDirectory)}`,
    pid,
    dataDirectory: places.data,
    socketDirectory,
    logFile: places.log,
    exited,
    stop: () => (stopping ??= stopPostmaster(postmaster)),
    kill: () => killCluster(postmaster, places.data),
  };
}
