import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
import type { EventId } from '#core/kernel/ids.js';
import { comparePositions, type Position } from '#core/kernel/position.js';

/**
 * How far each read model is, for queries and for status.
 *
 * A query must take its rows and their checkpoint from one statement: two statements see two moments, and
 * between them the read model may move on or be switched for a rebuilt one.
 *
 *   with checkpoint as ${checkpointOf('standing', 3)}
 *   select checkpoint.*, s.*
 *     from checkpoint left join read_models.standing s on s.subject = ${subject}
 *
 * gives at least one row, also where there is nothing about that subject; `position` is a decimal string,
 * `usable` is false while the projection is stopped, being rebuilt for a new version or not there yet, and
 * `behind_seconds` is how far back the moment lies up to which nothing is missing (null: never was). Of the
 * partitions the one that is worst counts; what is asked about one stream reads its partition's row alone.
 *
 * What needs several statements reads them in one snapshot: `inOneSnapshot`.
 */
export function checkpointOf(name: string, version?: number): RawBuilder<CheckpointRow> {
  return sql<CheckpointRow>`(
    select min(position)::text as position, min(version) as version,
           bool_and(status = 'running' and version > 0
             and version = coalesce(${version ?? null}::integer, version)) as usable,
           case when bool_and(caught_up_at is not null) then max(${BEHIND}) end as behind_seconds
      from projector.checkpoints where name = ${name} group by name)`;
}

/**
 * Several reads of the same moment. The tables, qualified, are locked against a switch before the snapshot
 * is taken: one that was switched in afterwards would show it only a part of its rows. A rebuild waits with
 * its switch meanwhile, so this is for answers, not for exports that take minutes.
 */
export function inOneSnapshot<T>(
  db: Kysely<unknown>,
  tables: readonly [string, ...string[]],
  read: (tx: Transaction<unknown>) => Promise<T>,
): Promise<T> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const names = sql.join(tables.map((table) => sql.table(table)));
      await sql`lock table ${names} in access share mode`.execute(tx);
      return read(tx);
    });
}

/** Null where it never was up to date, or the database's clock was set back: then it is not known. */
const BEHIND = sql`case when caught_up_at < clock_timestamp() + interval '1 second' then
  greatest(0, extract(epoch from clock_timestamp() - caught_up_at))::float8 end`;

export interface CheckpointRow {
  readonly position: string;
  readonly version: number;
  readonly usable: boolean;
  readonly behind_seconds: number | null;
}

/** Where a runner's bookkeeping lies: beside the live tables, or beside those of a rebuild. */
export type CheckpointTable = 'checkpoints' | 'rebuilds';

export type Status = 'running' | 'rebuilding' | 'stopped';

export interface StopReason {
  readonly position: Position;
  readonly code: string;
  readonly message: string;
}

/** An event that the rows are known to hold, and the place where it must be found. */
export interface Anchor {
  readonly position: Position;
  readonly eventId: EventId;
}

/** What `create` made, so that it can be moved and dropped. */
export interface TableObject {
  readonly kind: 'table' | 'view' | 'materialized view' | 'sequence';
  readonly name: string;
}

/** How far one partition is. */
export interface Checkpoint {
  readonly name: string;
  readonly partition: number;
  readonly kind: 'projection' | 'reactor';
  /** 0: there are no tables yet. */
  readonly version: number;
  /** Everything up to here is in the rows. */
  readonly position: Position;
  readonly anchor: Anchor | undefined;
  readonly ledgerId: string | undefined;
  /** Events applied since the tables are there; its growth is the rate. */
  readonly applied: number;
  /** Everything recorded before this moment is in the rows. */
  readonly caughtUpAt: Date | undefined;
  /** How long ago that was when this was read, by the database's clock. */
  readonly behindSeconds: number | undefined;
  readonly objects: readonly TableObject[];
  /** Who drives it; undefined: nobody. */
  readonly owner: string | undefined;
  readonly epoch: string;
  readonly leaseUntil: Date | undefined;
  readonly status: Status;
  readonly error: StopReason | undefined;
  readonly updatedAt: Date;
}

interface StoredCheckpoint {
  name: string;
  partition: number;
  kind: 'projection' | 'reactor';
  version: number;
  position: string;
  anchor_position: string;
  event_id: string | null;
  ledger_id: string | null;
  applied: string;
  caught_up_at: Date | null;
  behind_seconds: number | null;
  objects: TableObject[];
  owner: string | null;
  epoch: string;
  lease_until: Date | null;
  status: Status;
  error: StopReason | null;
  updated_at: Date;
}

/** The columns as text where a driver might round them. */
const COLUMNS = sql`name, partition, kind, version, position::text as position,
  anchor_position::text as anchor_position, event_id, ledger_id, applied::text as applied, caught_up_at,
  ${BEHIND} as behind_seconds,
  objects, owner, epoch::text as epoch, lease_until, status, error, updated_at`;

/** A `returning` or `select` list; not qualified: no other table may have a column of such a name. */
export const checkpointColumns = COLUMNS;

export function tableOf(table: CheckpointTable): RawBuilder<unknown> {
  return sql.table(`projector.${table}`);
}

export function checkpointFrom(row: unknown): Checkpoint {
  const stored = row as StoredCheckpoint;
  return {
    name: stored.name,
    partition: stored.partition,
    kind: stored.kind,
    version: stored.version,
    position: stored.position as Position,
    anchor:
      stored.event_id === null
        ? undefined
        : { position: stored.anchor_position as Position, eventId: stored.event_id as EventId },
    ledgerId: stored.ledger_id ?? undefined,
    applied: Number(stored.applied),
    caughtUpAt: stored.caught_up_at ?? undefined,
    behindSeconds: stored.behind_seconds ?? undefined,
    objects: stored.objects,
    owner: stored.owner ?? undefined,
    epoch: stored.epoch,
    leaseUntil: stored.lease_until ?? undefined,
    status: stored.status,
    error: stored.error ?? undefined,
    updatedAt: stored.updated_at,
  };
}

/** All checkpoints by name and partition, or those of `names`; a name nothing was ever stored for has none. */
export async function readPartitions(
  db: Kysely<unknown>,
  options: { readonly table?: CheckpointTable; readonly names?: readonly string[] } = {},
): Promise<readonly Checkpoint[]> {
  const { table = 'checkpoints', names } = options;
  const only = names === undefined ? sql`` : sql`where name = any(${[...names]})`;
  const { rows } = await sql`
    select ${COLUMNS} from ${tableOf(table)} ${only} order by name, partition`.execute(db);
  return rows.map(checkpointFrom);
}

/** How far each is as a whole, by name: see `wholeOf`. A name nothing was ever stored for is absent. */
export async function readCheckpoints(
  ...asked: Parameters<typeof readPartitions>
): Promise<ReadonlyMap<string, Checkpoint>> {
  const found = new Map<string, [Checkpoint, ...Checkpoint[]]>();
  for (const one of await readPartitions(...asked)) {
    const others = found.get(one.name);
    if (others) others.push(one);
    else found.set(one.name, [one]);
  }
  return new Map([...found].map(([name, parts]) => [name, wholeOf(parts)]));
}

/**
 * What can be said of all partitions together: the one that is furthest behind, with the worst of the
 * states and the events of all. One that is stopped comes first, for it says why.
 */
export function wholeOf(parts: readonly [Checkpoint, ...Checkpoint[]]): Checkpoint {
  const last = parts.reduce((a, b) => (comparePositions(b.position, a.position) < 0 ? b : a));
  const worst =
    parts.find(({ status }) => status === 'stopped') ??
    parts.find(({ status }) => status === 'rebuilding') ??
    last;
  const caughtUp = parts.map(({ caughtUpAt }) => caughtUpAt);
  const behind = parts.map(({ behindSeconds }) => behindSeconds);
  return {
    ...last,
    status: worst.status,
    error: worst.error,
    applied: parts.reduce((sum, { applied }) => sum + applied, 0),
    caughtUpAt: caughtUp.reduce((a, b) => (a && b && (a < b ? a : b)) || undefined),
    behindSeconds: behind.reduce((a, b) =>
      a === undefined || b === undefined ? undefined : Math.max(a, b),
    ),
    owner: parts.find(({ owner }) => owner !== undefined)?.owner,
  };
}

/** The checkpoint as a whole, made at the log's beginning, in so many partitions, where there was none. */
export async function ensureCheckpoint(
  db: Kysely<unknown>,
  table: CheckpointTable,
  name: string,
  kind: Checkpoint['kind'],
  partitions = 1,
): Promise<Checkpoint> {
  const read = async () => (await readCheckpoints(db, { table, names: [name] })).get(name);
  const there = await read();
  if (there !== undefined) return there;
  // Only where it is missing: an insert waits for whoever is in the middle of a batch on that row.
  await sql`insert into ${tableOf(table)} (name, kind, partition)
    select ${name}, ${kind}, partition from generate_series(0, ${partitions - 1}) as partition
    on conflict do nothing`.execute(db);
  const made = await read();
  if (made === undefined)
    throw new Error(`the checkpoint of ${name} was removed while it was made`);
  return made;
}
