import { createHash } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import type { Projection } from '#core/projector/projection.js';

/**
 * A read model whose rows tell of every event that was skipped, doubled or reordered: each stream's digest
 * chains the positions of its events. It reads its own rows before it writes them, as real ones do.
 */
export function tally(
  options: {
    name?: string;
    version?: number;
    partitions?: number;
    before?: (batch: readonly Recorded[]) => Promise<void> | void;
    after?: (batch: readonly Recorded[]) => Promise<void> | void;
  } = {},
): Projection {
  const { name = 'tally', version = 1, partitions = 1 } = options;
  return {
    name,
    version,
    categories: ['subject'],
    partitions,
    async create(tx) {
      await sql`create table ${sql.id(name)} (
        stream text primary key, count integer not null, digest text not null,
        version integer not null default ${sql.lit(version)})`.execute(tx);
      await sql`create table ${sql.id(`${name}_seen`)} (position bigint not null)`.execute(tx);
    },
    async apply(batch, { tx }) {
      await options.before?.(batch);
      await sql`insert into ${sql.id(`${name}_seen`)}
        select unnest(${batch.map(({ position }) => position)}::bigint[])`.execute(tx);
      const streams = [...new Set(batch.map(({ stream }) => stream as string))];
      const { rows } = await sql<TallyRow>`
        select stream, count, digest from ${sql.id(name)} where stream = any(${streams})`.execute(
        tx,
      );
      const known = new Map(rows.map((row) => [row.stream, row]));
      for (const event of batch) {
        if (event.type === 'Poison') throw new Error('this one can not be applied');
        known.set(event.stream, after(known.get(event.stream), event));
      }
      const changed = [...known.values()];
      await sql`insert into ${sql.id(name)} (stream, count, digest)
        select * from unnest(${changed.map((row) => row.stream)}::text[],
          ${changed.map((row) => row.count)}::integer[], ${changed.map((row) => row.digest)}::text[])
        on conflict (stream) do update set count = excluded.count, digest = excluded.digest`.execute(
        tx,
      );
      await options.after?.(batch);
    },
  };
}

export interface TallyRow {
  stream: string;
  count: number;
  digest: string;
}

function after(row: TallyRow | undefined, { stream, position }: Recorded): TallyRow {
  const digest = createHash('sha256')
    .update(`${row?.digest ?? ''} ${position}`)
    .digest('hex');
  return { stream, count: (row?.count ?? 0) + 1, digest };
}

/** The rows that the log gives. */
export function foldTally(events: Iterable<Recorded>): TallyRow[] {
  const rows = new Map<string, TallyRow>();
  for (const event of events)
    if (event.stream.startsWith('subject-'))
      rows.set(event.stream, after(rows.get(event.stream), event));
  return [...rows.values()].sort((a, b) => (a.stream < b.stream ? -1 : 1));
}

export async function tallyRows(db: Kysely<unknown>, name = 'tally'): Promise<TallyRow[]> {
  const { rows } = await sql<TallyRow>`select stream, count, digest
    from read_models.${sql.id(name)} order by stream collate "C"`.execute(db);
  return rows;
}

/** How often an event was applied more than once. */
export async function doubled(db: Kysely<unknown>, name = 'tally'): Promise<number> {
  const { rows } = await sql<{ doubled: number }>`
    select (count(*) - count(distinct position))::integer as doubled
      from read_models.${sql.id(`${name}_seen`)}`.execute(db);
  return rows[0]?.doubled as number;
}
