import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
import type { EventId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';

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
 * `behind_seconds` is how far back the moment lies up to which nothing is missing (null: never was).
 *
 * What needs several statements reads them in one snapshot: `inOneSnapshot`.
 */
export function checkpointOf(name: string, version?: number): RawBuilder<CheckpointRow> {
  return sql<CheckpointRow>`(
    select position::text as position, version,
           (status = 'running' and version > 0
             and version = coalesce(${version ?? null}::integer, version)) as usable,
           ${BEHIND} as behind_seconds
      from projector.checkpoints where name = ${name})`;
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

export interface Checkpoint {
  readonly name: string;
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
const COLUMNS = sql`name, kind, version, position::text as position,
  anchor_position::text as anchor_position, event_id, ledger_id, applied::text as applied, caught_up_at,
  ${BEHIND} as behind_seconds,
  objects, owner, epoch::text as epoch, lease_until, status, error, updated_at`;

/** A `returning` or `select` list; qualified columns are not needed as no other table is joined. */
export const checkpointColumns = COLUMNS;

export function tableOf(table: CheckpointTable): RawBuilder<unknown> {
  return sql.table(`projector.${table}`);
}

export function checkpointFrom(row: unknown): Checkpoint {
  const stored = row as StoredCheckpoint;
  return {
    name: stored.name,
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

/** All checkpoints by name, or those of `names`; a name nothing was ever stored for is absent. */
export async function readCheckpoints(
  db: Kysely<unknown>,
  options: { readonly table?: CheckpointTable; readonly names?: readonly string[] } = {},
): Promise<ReadonlyMap<string, Checkpoint>> {
  const { table = 'checkpoints', names } = options;
  const only = names === undefined ? sql`` : sql`where name = any(${[...names]})`;
  const { rows } = await sql`select ${COLUMNS} from ${tableOf(table)} ${only}`.execute(db);
  return new Map(rows.map(checkpointFrom).map((checkpoint) => [checkpoint.name, checkpoint]));
}

/** The checkpoint, made at the log's beginning where there was none. */
export async function ensureCheckpoint(
  db: Kysely<unknown>,
  table: CheckpointTable,
  name: string,
  kind: Checkpoint['kind'],
): Promise<Checkpoint> {
  const read = async () => (await readCheckpoints(db, { table, names: [name] })).get(name);
  const there = await read();
  if (there !== undefined) return there;
  // Only where it is missing: an insert waits for whoever is in the middle of a batch on that row.
  await sql`insert into ${tableOf(table)} (name, kind) values (${name}, ${kind})
    on conflict (name) do nothing`.execute(db);
  const made = await read();
  if (made === undefined)
    throw new Error(`the checkpoint of ${name} was removed while it was made`);
  return made;
}
