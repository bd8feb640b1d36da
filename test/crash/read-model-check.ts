import { type Kysely, sql } from 'kysely';
import { Projector } from '#core/projector/projector.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { projections } from '#domains/slices.js';

export interface ReadModelFindings {
  /** Rows that the log gives and the read model has not. */
  readonly skipped: number;
  /** Rows that the read model has and the log does not give. */
  readonly doubled: number;
  readonly findings: readonly string[];
}

/** Milliseconds in which whoever follows the log must have come to its end. */
const PATIENCE = 60_000;

/**
 * Compares every row of every read model, as following the log through whatever happened has made it, with the rows
 * that the same log gives when it is folded from its first event without a break. Nothing may be recorded meanwhile.
 */
export async function checkReadModels({ database, ledger }: Runtime): Promise<ReadModelFindings> {
  const projector = new Projector({ db: database, log: ledger, projections: projections() });
  const names = projections().map(({ name }) => name);
  try {
    const head = await ledger.head();
    if (head && !(await projector.waitFor(head.position, names, { timeoutMs: PATIENCE }))) {
      const status = (await projector.status()).map((one) => `${one.name}: ${one.status}`);
      return { skipped: 0, doubled: 0, findings: [`not at the end: ${status.join(', ')}`] };
    }
    const live = await rowsOf(database);
    await projector.rebuild(names, { fromScratch: true });
    return compared(live, await rowsOf(database));
  } finally {
    await projector.stop();
  }
}

/** Every row of every table as text, with how often it is there. */
type Rows = ReadonlyMap<string, number>;

async function rowsOf(db: Kysely<unknown>): Promise<Rows> {
  const tables = await sql<{ name: string }>`
    select table_name as name from information_schema.tables where table_schema = 'read_models'`.execute(
    db,
  );
  const rows = new Map<string, number>();
  for (const { name } of tables.rows) {
    const found = await sql<{ row: string }>`
      select t::text as row from ${sql.table(`read_models.${name}`)} t`.execute(db);
    for (const { row } of found.rows) {
      const key = `${name} ${row}`;
      rows.set(key, (rows.get(key) ?? 0) + 1);
    }
  }
  return rows;
}

function compared(live: Rows, folded: Rows): ReadModelFindings {
  const without = (some: Rows, others: Rows) =>
    [...some].reduce((sum, [row, count]) => sum + Math.max(0, count - (others.get(row) ?? 0)), 0);
  const findings = folded.size === 0 ? ['the read models are empty'] : [];
  return { skipped: without(folded, live), doubled: without(live, folded), findings };
}
