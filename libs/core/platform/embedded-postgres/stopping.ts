import { setTimeout as sleep } from 'node:timers/promises';
import type { Postmaster } from './postmaster.js';
import { clusterProcesses, sendSignal, untilGone } from './processes.js';

/**
 * How long each way of asking to stop may take before the next, harsher one, in milliseconds. None of them loses a
 * committed row.
 */
export const STOP_LADDER: readonly [NodeJS.Signals, number][] = [
  ['SIGINT', 60_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 10_000],
];

export async function stopPostmaster({ child, exited, hasEnded }: Postmaster): Promise<void> {
  child.ref();
  for (const [signal, patience] of STOP_LADDER) {
    if (hasEnded()) break;
    child.kill(signal);
    const timer = new AbortController();
    await Promise.race([
      exited,
      sleep(patience, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
  }
  await exited;
}

export async function killCluster(
  { child, pid, exited, hasEnded }: Postmaster,
  data: string,
): Promise<void> {
  const everyone = hasEnded() ? [] : clusterProcesses(data);
  child.ref();
  for (const one of [pid, ...everyone]) if (!hasEnded()) sendSignal(one, 'SIGKILL');
  await exited;
  await untilGone(data, 10_000);
}
