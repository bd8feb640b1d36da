import { compareWithLog, NotComparable } from '#core/projector/compare.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { projections } from '#domains/slices.js';
import { atTheEnd } from './at-the-end.js';

export interface ReadModelFindings {
  /** Rows that the log gives and the read model has not. */
  readonly skipped: number;
  /** Rows that the read model has and the log does not give. */
  readonly doubled: number;
  readonly findings: readonly string[];
}

/**
 * Compares every row of every read model, as following the log through whatever happened has made it, with the rows
 * that the same log gives when it is folded from its first event without a break.
 */
export async function checkReadModels(runtime: Runtime): Promise<ReadModelFindings> {
  const { following, ledger } = runtime;
  const { finding } = await atTheEnd(runtime);
  if (finding !== undefined) return { skipped: 0, doubled: 0, findings: [finding] };
  let [skipped, doubled, rows] = [0, 0, 0];
  for (const projection of projections()) {
    const compared = await compareWithLog({ db: following, log: ledger }, projection).catch(
      (error: unknown) => {
        if (error instanceof NotComparable) return `${projection.name}: ${error.message}`;
        throw error;
      },
    );
    if (typeof compared === 'string') return { skipped, doubled, findings: [compared] };
    const { tables } = compared;
    for (const table of tables) {
      skipped += table.missing;
      doubled += table.surplus;
      rows += table.rows;
    }
  }
  return { skipped, doubled, findings: rows === 0 ? ['the read models are empty'] : [] };
}
