import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { EventId } from '#core/kernel/ids.js';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { type Checkpoint, parseCheckpoint } from '../checkpoint.js';
import { originAt, originBytes, originCount } from '../leaf-origins.js';
import { parseNote } from '../note.js';
import type { KeyPeriod, PublishedCheckpoint } from '../published.js';
import type { KnownKey } from '../signing-keys.js';
import { type ReadTiles, type StoredTile, TILE_WIDTH, tileName } from '../tiles.js';

/** How far the leaves are, and who adds to them. */
export interface Progress {
  /** Leaves in the tiles. */
  readonly size: number;
  /** Of the event that the last leaf came from; START where there is no leaf. */
  readonly position: Position;
  /** Of that event: proves that the log is the one that the leaves came from. */
  readonly eventId: EventId | undefined;
  readonly epoch: string;
  readonly refusal: Refusal | undefined;
}

/** Why nothing is signed, for everybody to see. */
export interface Refusal {
  readonly code: string;
  readonly reason: string;
  readonly at: Instant;
}

/** Leaves to add: the tiles as they are with them, and where the new ones came from, by bundle. */
export interface Growth {
  readonly size: number;
  readonly position: Position;
  readonly eventId: EventId;
  readonly tiles: readonly StoredTile[];
  readonly origins: readonly BundleOrigins[];
}

/** The positions that the leaves of a bundle came from, in order. */
export interface BundleOrigins {
  readonly bundle: number;
  readonly positions: readonly Position[];
}

/** A checkpoint that was signed, and that nobody has seen yet. */
export type Unpublished = Pick<PublishedCheckpoint, 'origin' | 'size' | 'note' | 'position'>;

/** Somebody else seals now: nothing of ours was written. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
  constructor() {
    super('the log is no longer ours to seal');
  }
}

interface ProgressRow {
  size: string;
  position: Position;
  event_id: EventId | null;
  epoch: string;
  refusal: Refusal | null;
}

interface CheckpointRow {
  note: string;
  position: Position;
  signed_at: Date;
}

const COLUMNS = sql`size::text, position::text, event_id, epoch::text, refusal`;

/** What the proof keeps in PostgreSQL: everything but the signing keys. Its schema is in `migrations`. */
export class ProofTables {
  constructor(private readonly db: Kysely<unknown>) {}

  /**
   * Takes the lease, or renews it, for so many milliseconds of the database's clock. Undefined while
   * somebody else holds it. A lease that ends further ahead than any can was written before the clock was
   * set back, and counts as ended.
   */
  async acquire(owner: string, milliseconds: number): Promise<Progress | undefined> {
    const until = sql`clock_timestamp() + ${milliseconds} * interval '1 millisecond'`;
    const { rows } = await sql<ProgressRow>`
      update proof.progress
         set epoch = case when owner = ${owner} then epoch else epoch + 1 end,
             owner = ${owner}, lease_until = ${until}
       where owner is null or owner = ${owner} or lease_until < clock_timestamp()
          or lease_until > ${until} + interval '5 seconds'
      returning ${COLUMNS}`.execute(this.db);
    return rows[0] && progressOf(rows[0]);
  }

  async release(owner: string): Promise<void> {
    await sql`update proof.progress set owner = null, lease_until = null
               where owner = ${owner}`.execute(this.db);
  }

  async progress(): Promise<Progress> {
    const { rows } = await sql<ProgressRow>`
      select ${COLUMNS} from proof.progress`.execute(this.db);
    return progressOf(rows[0] as ProgressRow);
  }

  /** Undefined: nothing stands in the way any more. Throws LeaseLost. */
  async setRefusal(epoch: string, refusal: Refusal | undefined): Promise<void> {
    const value = refusal === undefined ? null : JSON.stringify(refusal);
    const { numAffectedRows } = await sql`
      update proof.progress set refusal = ${value}::jsonb
       where epoch = ${epoch}::bigint`.execute(this.db);
    if (numAffectedRows === 0n) throw new LeaseLost();
  }

  /** Adds leaves, all or none, where the tree still is as `known` says. Throws LeaseLost. */
  async grow(known: Progress, growth: Growth): Promise<Progress> {
    const { tiles, origins, size, position, eventId } = growth;
    await this.db.transaction().execute(async (tx) => {
      const { numAffectedRows } = await sql`
        update proof.progress
           set size = ${size}, position = ${position}::bigint, event_id = ${eventId}
         where epoch = ${known.epoch}::bigint and size = ${known.size}`.execute(tx);
      if (numAffectedRows === 0n) throw new LeaseLost();
      await sql`
        insert into proof.tiles (level, index, hashes)
        select * from unnest(${tiles.map(({ level }) => level)}::smallint[],
                             ${tiles.map(({ index }) => index)}::bigint[],
                             ${tiles.map(({ hashes }) => Buffer.from(hashes))}::bytea[])
        on conflict (level, index) do update set hashes = excluded.hashes`.execute(tx);
      await sql`
        insert into proof.leaves (bundle, first_position, positions)
        select * from unnest(${origins.map(({ bundle }) => bundle)}::bigint[],
                             ${origins.map(({ positions }) => positions[0])}::bigint[],
                             ${origins.map(({ positions }) => originBytes(positions))}::bytea[])
        on conflict (bundle) do update set positions = excluded.positions`.execute(tx);
    });
    return { ...known, size, position, eventId };
  }

  /** Forgets tiles and leaves, which are made again from the events. Checkpoints stay. */
  async startOver(): Promise<void> {
    await this.db.transaction().execute(async (tx) => {
      await sql`update proof.progress
                   set size = 0, position = 0, event_id = null, epoch = epoch + 1, owner = null,
                       lease_until = null, refusal = null`.execute(tx);
      await sql`delete from proof.tiles`.execute(tx);
      await sql`delete from proof.leaves`.execute(tx);
    });
  }

  /**
   * Publishes: durable when it returns, and seen by every reader from then on. Of two checkpoints of one
   * size the second is refused by the table. Throws LeaseLost.
   */
  async publish(
    epoch: string,
    { origin, size, note, position }: Unpublished,
  ): Promise<PublishedCheckpoint> {
    return this.db.transaction().execute(async (tx) => {
      await sql`set local synchronous_commit = on`.execute(tx);
      const { rows: held } = await sql`
        select from proof.progress where epoch = ${epoch}::bigint for update`.execute(tx);
      if (held.length === 0) throw new LeaseLost();
      const { rows } = await sql<CheckpointRow>`
        insert into proof.checkpoints (origin, size, position, note)
        values (${origin}, ${size}, ${position}::bigint, ${note})
        returning note, position::text, signed_at`.execute(tx);
      return publishedIn(rows[0] as CheckpointRow);
    });
  }

  readonly readTiles: ReadTiles = async (wanted) => {
    const { rows } = await sql<{ level: number; index: string; hashes: Buffer }>`
      select t.level, t.index::text, t.hashes
        from unnest(${wanted.map(({ level }) => level)}::smallint[],
                    ${wanted.map(({ index }) => index)}::bigint[]) w(level, index)
        join proof.tiles t on t.level = w.level and t.index = w.index`.execute(this.db);
    return new Map(
      rows.map(({ level, index, hashes }) => [tileName({ level, index: Number(index) }), hashes]),
    );
  };

  /** Where the leaves of a bundle came from; empty where there is no such bundle. */
  async origins(bundle: number): Promise<readonly Position[]> {
    const stored = (await this.originsOf([bundle])).get(bundle);
    return stored === undefined ? [] : positionsIn(stored);
  }

  /** The same of several bundles, as it is stored: see `originAt`. One that is not there has no entry. */
  async originsOf(bundles: readonly number[]): Promise<ReadonlyMap<number, Buffer>> {
    const { rows } = await sql<{ bundle: string; positions: Buffer }>`
      select bundle::text, positions from proof.leaves
       where bundle = any(${[...bundles]}::bigint[])`.execute(this.db);
    return new Map(rows.map(({ bundle, positions }) => [Number(bundle), positions]));
  }

  /** The position that a leaf came from; undefined where there is no such leaf. */
  async originOf(index: number): Promise<Position | undefined> {
    return (await this.origins(Math.floor(index / TILE_WIDTH)))[index % TILE_WIDTH];
  }

  async indexesOf(positions: readonly Position[]): Promise<ReadonlyMap<Position, number>> {
    const { rows } = await sql<{ position: Position; bundle: string; positions: Buffer }>`
      select w.position::text, l.bundle::text, l.positions
        from unnest(${[...new Set(positions)]}::bigint[]) w(position)
        cross join lateral (
          select bundle, positions from proof.leaves
           where first_position <= w.position order by first_position desc limit 1) l`.execute(
      this.db,
    );
    const found = new Map<Position, number>();
    for (const { position, bundle, positions: stored } of rows) {
      const within = positionsIn(stored).indexOf(position);
      if (within >= 0) found.set(position, Number(bundle) * TILE_WIDTH + within);
    }
    return found;
  }

  newest(origin: string): Promise<PublishedCheckpoint | undefined> {
    return this.checkpoint(sql`origin = ${origin} order by size desc`);
  }

  /** The first one that covers the position. */
  covering(origin: string, position: Position): Promise<PublishedCheckpoint | undefined> {
    const condition = sql`origin = ${origin} and position >= ${position}::bigint order by checkpoints.position`;
    return this.checkpoint(condition);
  }

  ofSize(origin: string, size: number): Promise<PublishedCheckpoint | undefined> {
    return this.checkpoint(sql`origin = ${origin} and size = ${size}`);
  }

  /** Of the newest checkpoint, whatever its note holds; 0 where there is none. */
  async newestSize(origin: string): Promise<number> {
    const { rows } = await sql<{ size: string | null }>`
      select max(size)::text as size from proof.checkpoints
       where origin = ${origin}`.execute(this.db);
    return Number(rows[0]?.size ?? 0);
  }

  /** Every checkpoint of the log by size, in pages; as they are stored, whatever they hold. */
  async *checkpoints(origin: string): AsyncGenerator<{ size: number; note: string }> {
    for (let after = -1; ;) {
      const { rows } = await sql<{ size: string; note: string }>`
        select size::text, note from proof.checkpoints
         where origin = ${origin} and size > ${after} order by checkpoints.size limit 1000`.execute(
        this.db,
      );
      for (const { size, note } of rows) yield { size: Number(size), note };
      const last = rows.at(-1);
      if (last === undefined) return;
      after = Number(last.size);
    }
  }

  /** Makes keys known to everybody, and which of them sign no more; what is known already stays as it is. */
  async addKeys(origin: string, known: readonly KnownKey[]): Promise<void> {
    const retired = known.filter(({ retiredAt }) => retiredAt !== undefined);
    await sql`
      with added as (
        insert into proof.keys (origin, verifier_key)
        select ${origin}, unnest(${known.map(({ verifierKey }) => verifierKey)}::text[])
        on conflict do nothing)
      insert into proof.retired_keys (origin, verifier_key, retired_at)
      select ${origin}, * from unnest(${retired.map(({ verifierKey }) => verifierKey)}::text[],
                                      ${retired.map(({ retiredAt }) => retiredAt)}::timestamptz[])
      on conflict do nothing`.execute(this.db);
  }

  /** Oldest first. */
  async keys(origin: string): Promise<readonly KeyPeriod[]> {
    const { rows } = await sql<{ verifier_key: string; known_since: Date; retired_at?: Date }>`
      select k.verifier_key, k.known_since, r.retired_at
        from proof.keys k
        left join proof.retired_keys r on r.origin = k.origin and r.verifier_key = k.verifier_key
       where k.origin = ${origin} order by k.known_since, k.verifier_key`.execute(this.db);
    return rows.map(({ verifier_key, known_since, retired_at }) => ({
      verifierKey: verifier_key,
      from: instantOf(known_since.getTime()),
      ...(retired_at ? { until: instantOf(retired_at.getTime()) } : {}),
    }));
  }

  async addTimestamp(origin: string, size: number, token: Uint8Array): Promise<void> {
    await sql`insert into proof.timestamps (origin, size, token)
              values (${origin}, ${size}, ${Buffer.from(token)})
              on conflict do nothing`.execute(this.db);
  }

  private async checkpoint(
    condition: RawBuilder<unknown>,
  ): Promise<PublishedCheckpoint | undefined> {
    const { rows } = await sql<CheckpointRow>`
      select note, position::text, signed_at from proof.checkpoints
       where ${condition} limit 1`.execute(this.db);
    return rows[0] && publishedIn(rows[0]);
  }
}

function progressOf({ size, position, event_id, epoch, refusal }: ProgressRow): Progress {
  return {
    size: Number(size),
    position,
    eventId: event_id ?? undefined,
    epoch,
    refusal: refusal ?? undefined,
  };
}

function publishedIn({ note, position, signed_at }: CheckpointRow): PublishedCheckpoint {
  const checkpoint = parseCheckpoint(parseNote(note)?.text ?? '') as Checkpoint | undefined;
  if (checkpoint === undefined) throw new Error('a stored checkpoint can not be read');
  return { ...checkpoint, note, position, signedAt: instantOf(signed_at.getTime()) };
}

function positionsIn(bytes: Buffer): Position[] {
  return Array.from({ length: originCount(bytes) }, (_, at) => originAt(bytes, at) as Position);
}
