import { type Position, START } from '#core/kernel/position.js';
import { readCheckpoints } from '#core/projector/checkpoint.js';
import { Projector } from '#core/projector/projector.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { projections } from '#domains/slices.js';

/** Milliseconds in which whoever follows the log must have come to its end. */
const PATIENCE = 60_000;
const PAGE = 2_000;

/** How many events each read model has applied in all, up to a position. */
export interface Applied {
  readonly upTo: Position;
  readonly counts: ReadonlyMap<string, number>;
}

/** At a moment at which nothing is recorded. */
export async function countApplied({ database, ledger }: Runtime): Promise<Applied> {
  const projector = new Projector({ db: database, log: ledger, projections: projections() });
  const names = projections().map(({ name }) => name);
  const upTo = (await ledger.head())?.position ?? START;
  if (!(await projector.waitFor(upTo, names, { timeoutMs: PATIENCE })))
    throw new Error(`the read models did not come to ${upTo}`);
  const checkpoints = await readCheckpoints(database, { names });
  return {
    upTo,
    counts: new Map(names.map((name) => [name, checkpoints.get(name)?.applied ?? 0])),
  };
}

/**
 * What each read model has applied since then, against the events that there were for it: who writes after having lost
 * its partition applies again what their new owner has applied, even where the rows come out the same.
 */
export async function checkApplied(
  runtime: Runtime,
  before: Applied,
): Promise<{ readonly skipped: number; readonly doubled: number }> {
  const after = await countApplied(runtime);
  let [skipped, doubled] = [0, 0];
  for (const projection of projections()) {
    const { name, categories } = projection;
    let expected = 0;
    for (let from = before.upTo; ;) {
      const page = await runtime.ledger.readAll(from, { categories, limit: PAGE });
      expected += page.events.filter((event) => projection.concerns?.(event) ?? true).length;
      if (page.scannedTo === from) break;
      from = page.scannedTo;
    }
    const applied = (after.counts.get(name) ?? 0) - (before.counts.get(name) ?? 0);
    skipped += Math.max(0, expected - applied);
    doubled += Math.max(0, applied - expected);
  }
  return { skipped, doubled };
}
