import { EmbeddedPostgresError } from './errors.js';
import { endLeftovers } from './orphans.js';
import {
  type EmbeddedPostgresExit,
  type Plan,
  type Postmaster,
  startPostmaster,
} from './postmaster.js';
import { clusterProcesses } from './processes.js';

/** A postmaster that its server spawned in its last moment may take the lock file first; then it is ended, and once more. */
export async function launch(plan: Plan): Promise<Postmaster> {
  for (let attempt = 1; ; attempt++) {
    const started = await startPostmaster(plan);
    if (started.state === 'ready') return started.postmaster;
    if (attempt === 3 || clusterProcesses(plan.places.data).length === 0) {
      throw new EmbeddedPostgresError(
        'start-failed',
        `PostgreSQL did not start (${describeExit(started.exit)}): ${started.output || 'it said nothing'}`,
      );
    }
    await endLeftovers(plan.places, plan.log);
  }
}

function describeExit(exit: EmbeddedPostgresExit): string {
  if (exit.signal !== null) return `ended by ${exit.signal}`;
  return exit.code === null ? 'could not be run' : `exit code ${exit.code}`;
}
