import type { Position } from '#core/kernel/position.js';
import { Projector } from '#core/projector/projector.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { projections } from '#domains/slices.js';

/** Milliseconds in which whoever follows the log must have come to its end. */
const PATIENCE = 60_000;

export interface End {
  /** Absent where nothing is recorded. */
  readonly position?: Position;
  /** What is wrong where a read model does not come there, in words. */
  readonly finding?: string;
}

/** Waits until every read model is at the end that the log has now. */
export async function atTheEnd({ database, ledger }: Runtime): Promise<End> {
  const head = await ledger.head();
  if (!head) return {};
  const { position } = head;
  const projector = new Projector({ db: database, log: ledger, projections: projections() });
  const names = projections().map(({ name }) => name);
  if (await projector.waitFor(position, names, { timeoutMs: PATIENCE })) return { position };
  const status = (await projector.status()).map((one) => `${one.name}: ${one.status}`);
  return { position, finding: `not at ${position}: ${status.join(', ')}` };
}
