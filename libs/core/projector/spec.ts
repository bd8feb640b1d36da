import { type Kysely, sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { categoryOf, type StreamName } from '#core/kernel/ids.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import {
  partitionFor,
  partitionsOf,
  type Projection,
  type ProjectionContext,
} from './projection.js';
import { searchPath } from './lease.js';
import { LIVE_SCHEMA } from './tables.js';

/** Given/when/then for projections: given a log, when it is projected, then these are the rows. */

/**
 * Runs `events` through a projection, asks `read` for what came of them, and rolls everything back. The
 * tables lie where they are read live, so that `read` may be the slice's own query; where the projector's
 * migrations ran, there is a checkpoint too, at the last event. `batches` says how many events go into one
 * call of `apply` at most: the rows must be the same for every size, and where the partitions are fed
 * `apart`, one after the other.
 *
 * `db` is the owner's, or the runtime role's after the migrations.
 */
export async function project<Rows>(
  db: Kysely<unknown>,
  projection: Projection,
  events: readonly Recorded[],
  read: (tx: Transaction<unknown>) => Promise<Rows>,
  options: { readonly batches?: number; readonly apart?: boolean } = {},
): Promise<Rows> {
  let rows: { read: Rows } | undefined;
  try {
    await db.transaction().execute(async (tx) => {
      await prepare(tx, projection, events.at(-1));
      const all = partitionsOf(projection);
      for (const partitions of options.apart ? all.map((one) => [one] as const) : [all]) {
        const context = { ...contextOver(tx, events), partitions };
        await feed(projection, events, context, options.batches ?? events.length);
      }
      rows = { read: await read(tx) };
      throw new RollBack();
    });
  } catch (error) {
    if (!(error instanceof RollBack)) throw error;
  }
  return (rows as { read: Rows }).read;
}

async function prepare(
  tx: Transaction<unknown>,
  projection: Projection,
  last: Recorded | undefined,
): Promise<void> {
  const { rows } = await sql<{ schema: boolean; checkpoints: boolean }>`
    select to_regnamespace(${LIVE_SCHEMA}) is not null as schema,
           to_regclass('projector.checkpoints') is not null as checkpoints`.execute(tx);
  if (!rows[0]?.schema) await sql`create schema ${sql.id(LIVE_SCHEMA)}`.execute(tx);
  await sql`select set_config('search_path', ${searchPath(LIVE_SCHEMA)}, true)`.execute(tx);
  await projection.create(tx);
  if (rows[0]?.checkpoints)
    await sql`
      insert into projector.checkpoints (name, partition, kind, version, position, caught_up_at)
      select ${projection.name}, partition, 'projection', ${projection.version},
             ${last?.position ?? START}::bigint, clock_timestamp()
        from generate_series(0, ${projection.partitions - 1}) as partition
      on conflict (name, partition) do update set version = excluded.version, position = excluded.position,
        caught_up_at = excluded.caught_up_at, status = 'running'`.execute(tx);
}

/** All rows of a table of the projection, in no particular order. */
export function rowsOf<Row extends object>(table: string) {
  return async (tx: Transaction<unknown>): Promise<readonly Row[]> =>
    (await sql<Row>`select * from ${sql.id(table)}`.execute(tx)).rows;
}

async function feed(
  projection: Projection,
  events: readonly Recorded[],
  context: ProjectionContext,
  size: number,
): Promise<void> {
  const followed = events.filter(({ stream }) => {
    const own = partitionFor(projection, stream);
    const isOfThese = own === undefined || context.partitions.includes(own);
    return isOfThese && projection.categories.includes(categoryOf(stream));
  });
  for (let start = 0; start < followed.length; start += size)
    await projection.apply(followed.slice(start, start + size), context);
}

function contextOver(
  tx: Transaction<unknown>,
  events: readonly Recorded[],
): Omit<ProjectionContext, 'partitions'> {
  return {
    tx,
    readStreams: (streams, upTo) =>
      Promise.resolve(new Map(streams.map((stream) => [stream, upToOf(events, stream, upTo)]))),
  };
}

function upToOf(events: readonly Recorded[], stream: StreamName, upTo: Position): Recorded[] {
  return events.filter(
    (event) => event.stream === stream && comparePositions(event.position, upTo) <= 0,
  );
}

class RollBack extends Error {}
