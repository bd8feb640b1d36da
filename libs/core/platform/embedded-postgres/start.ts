import path from 'node:path';
import { makeRunnable } from './binaries.js';
import { ensureCluster } from './cluster.js';
import { giveAway, prepareDirectory } from './directory.js';
import { launch } from './launch.js';
import { locateBinaries } from './npm-package.js';
import { endLeftovers } from './orphans.js';
import { claim, recordSocketDirectory, release } from './owner.js';
import { type EmbeddedPostgres, serverOn } from './server.js';
import { mergeSettings } from './settings.js';
import { makeSocketDirectory, removeSocketDirectory } from './socket.js';

// Nothing in this folder imports from outside it: the tests compile it alone, to run it without a build.

export interface EmbeddedPostgresOptions {
  /** Created when missing. The cluster lives in `postgres/` below it. */
  directory: string;
  /** Told, in one line each, what is unusual: a first start, a recovery, an orphan taken over. */
  log?: (message: string) => void;
  /** Further server settings, such as `shared_buffers`. What guards durability or privacy can not be changed. */
  settings?: Readonly<Record<string, string>>;
}

/**
 * Runs a real PostgreSQL for one server process, from the binaries of an npm package, with all of its state below one
 * directory. It listens on a unix socket in a private directory and on nothing else.
 *
 * The cluster in `directory` is created when there is none. One whose server was killed is taken over; one that belongs
 * to a live process is refused with code `in-use`.
 *
 * @throws {EmbeddedPostgresError} with a message an operator can act on
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const settings = mergeSettings(options.settings ?? {});
  const installed = locateBinaries();
  const { places, account } = prepareDirectory(path.resolve(options.directory));

  const previous = await claim(places);
  let socketDirectory: string | undefined;
  let running: EmbeddedPostgres | undefined;
  try {
    if (previous?.socketDirectory != null) removeSocketDirectory(places, previous.socketDirectory);
    await endLeftovers(places, log);
    // Only now: before, somebody else may have been at work on these files.
    if (account !== undefined) giveAway(places.root, account);
    const binaries = makeRunnable(installed, places, account, log);
    await ensureCluster(binaries, places, account, log);
    socketDirectory = await makeSocketDirectory(places, account);
    recordSocketDirectory(places, socketDirectory);
    const plan = { binaries, places, account, settings, socketDirectory, log };
    running = serverOn(await launch(plan), places, socketDirectory);
    return running;
  } finally {
    if (running === undefined) {
      if (socketDirectory !== undefined) removeSocketDirectory(places, socketDirectory);
      release(places);
    }
  }
}
