import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { type Checkpoint, readCheckpoints, readPartitions } from './checkpoint.js';
import { searchPath } from './lease.js';
import { type LogReader, pagesToHead, reading } from './log-reader.js';
import { partitionFor, partitionsOf, type Projection } from './projection.js';
import { LIVE_SCHEMA } from './tables.js';

/** What became of one table of a read model. */
export interface TableCompared {
  readonly table: string;
  /** Rows that the log gives. */
  readonly rows: number;
  /** Rows that the log gives and the live table lacks. */
  readonly missing: number;
  /** Rows of the live table that the log does not give. */
  readonly surplus: number;
  /** Some of those that differ, as the database writes a row. Read models hold nothing personal. */
  readonly examples: readonly string[];
}

export interface Compared {
  readonly name: string;
  /** Of the live tables' checkpoint: both sides hold the log up to here, some partitions of both perhaps further. */
  readonly position: Position;
  readonly tables: readonly TableCompared[];
}

/** The live tables can not be compared now, and why. */
export class NotComparable extends Error {
  override readonly name = 'NotComparable';
}

export interface CompareOptions {
  /** Events a batch at most. */
  readonly limit?: number;
  readonly onProgress?: (done: number) => void;
}

const LIMIT = 2_000;
const EXAMPLES = 5;
/** Milliseconds that the live tables have to come as far as the log was read. */
const PATIENCE = 30_000;

/**
 * Folds the log from its first event into temporary tables, as the projection would, up to exactly where
 * the live tables are, and compares the two, table by table and row by row. Nobody waits for it: the live
 * runner goes on, for both sides are read in one snapshot. What it makes is gone with its session, also
 * where the process is killed.
 *
 * `projection` MUST be one that nobody else applies.
 * @throws NotComparable where the live tables are stopped, of another version, or do not get as far as the log
 */
export function compareWithLog(
  { db, log }: { readonly db: Kysely<unknown>; readonly log: LogReader },
  projection: Projection,
  options: CompareOptions = {},
): Promise<Compared> {
  return db.connection().execute(async (session) => {
    try {
      return await new Comparison(session, log, projection, options).run();
    } finally {
      await sql`discard temp`.execute(session);
    }
  });
}

/** What is folded in the end: some partitions, up to where they are. */
interface Part {
  readonly upTo: Position;
  readonly partitions: readonly [number, ...number[]];
  readonly tx: Transaction<unknown>;
}

/** Where the tables of a session go that nobody else sees. */
const BESIDE = 'pg_temp';

class Comparison {
  private position: Position = START;
  private done = 0;

  constructor(
    private readonly session: Kysely<unknown>,
    private readonly log: LogReader,
    private readonly projection: Projection,
    private readonly options: CompareOptions,
  ) {}

  async run(): Promise<Compared> {
    const { session, projection } = this;
    await this.live(session);
    await session.transaction().execute(async (tx) => {
      await beside(tx);
      await projection.create(tx);
    });
    await this.fill();
    await this.liveHasCome();
    const tables = await this.tables();
    return session
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (tx) => {
        // Before there is a snapshot: tables that were switched in after it would show it a part of their rows.
        const live = sql.join(tables.map((table) => sql.id(LIVE_SCHEMA, table)));
        await sql`lock table ${live} in access share mode`.execute(tx);
        const { position } = await this.live(tx);
        const beginning = this.position;
        for (const [upTo, partitions] of await this.placesOfPartitions(tx)) {
          this.position = beginning;
          await this.fill({ upTo, partitions, tx });
        }
        const compared: TableCompared[] = [];
        for (const table of tables) compared.push(await tableCompared(tx, table));
        return { name: projection.name, position, tables: compared };
      });
  }

  /** Which partitions are at which position: each is compared with the log up to where it is itself. */
  private async placesOfPartitions(
    tx: Transaction<unknown>,
  ): Promise<ReadonlyMap<Position, [number, ...number[]]>> {
    const places = new Map<Position, [number, ...number[]]>();
    const names = [this.projection.name];
    for (const { position, partition } of await readPartitions(tx, { names })) {
      const others = places.get(position);
      if (others) others.push(partition);
      else places.set(position, [partition]);
    }
    return places;
  }

  /** Applies what the log holds: nearly up to its end, or some partitions' part in the caller's transaction. */
  private async fill(part?: Part): Promise<void> {
    const { limit = LIMIT } = this.options;
    const { categories } = this.projection;
    let analyzed = this.done;
    for await (const page of pagesToHead(this.log, this.position, { categories, limit })) {
      const events = part ? page.events.filter((event) => this.isIn(part, event)) : page.events;
      const partitions = part?.partitions ?? partitionsOf(this.projection);
      if (part) await this.apply(part.tx, events, partitions);
      else await this.session.transaction().execute((tx) => this.apply(tx, events, partitions));
      this.position = page.scannedTo;
      this.done += events.length;
      this.options.onProgress?.(this.done);
      // Vacuum does not come to temporary tables, and plans get worse as they grow.
      if (this.done > 2 * analyzed + limit) {
        analyzed = this.done;
        await sql`analyze`.execute(part?.tx ?? this.session);
      }
      const enough = part
        ? comparePositions(this.position, part.upTo) >= 0
        : page.events.length < limit;
      if (enough) return;
    }
  }

  private isIn({ upTo, partitions }: Part, { stream, position }: Recorded): boolean {
    const own = partitionFor(this.projection, stream);
    return (own === undefined || partitions.includes(own)) && comparePositions(position, upTo) <= 0;
  }

  private async apply(
    tx: Transaction<unknown>,
    events: readonly Recorded[],
    partitions: readonly [number, ...number[]],
  ): Promise<void> {
    if (events.length === 0) return;
    await beside(tx);
    await this.projection.apply(events, {
      tx,
      partitions,
      readStreams: (streams, upTo) => reading(() => this.log.readMany(streams, { upTo })),
    });
  }

  /** What is beside can not be taken back: the live tables must have come at least as far. */
  private async liveHasCome(): Promise<void> {
    for (const until = performance.now() + PATIENCE; ; await sleep(50)) {
      const { position } = await this.live(this.session);
      if (comparePositions(position, this.position) >= 0) return;
      if (performance.now() > until)
        throw new NotComparable(`it is at position ${position}, the log at ${this.position}`);
    }
  }

  private async live(db: Kysely<unknown>): Promise<Checkpoint> {
    const { name, version } = this.projection;
    const checkpoint = (await readCheckpoints(db, { names: [name] })).get(name);
    if (!checkpoint || checkpoint.version === 0) throw new NotComparable('it is not there yet');
    if (checkpoint.version !== version)
      throw new NotComparable(`it has version ${checkpoint.version}, not ${version}`);
    if (checkpoint.status === 'stopped')
      throw new NotComparable(`it is stopped before position ${checkpoint.error?.position}`);
    return checkpoint;
  }

  private async tables(): Promise<readonly string[]> {
    const { rows } = await sql<{ name: string }>`
      select relname as name from pg_class
       where relnamespace = pg_my_temp_schema() and relkind in ('r', 'p') and not relispartition
       order by relname`.execute(this.session);
    return rows.map(({ name }) => name);
  }
}

async function tableCompared(tx: Transaction<unknown>, table: string): Promise<TableCompared> {
  const [made, live] = [sql.id(BESIDE, table), sql.id(LIVE_SCHEMA, table)];
  const counted = await sql<{ rows: string }>`select count(*) as rows from ${made}`.execute(tx);
  const differing = async (one: typeof made, other: typeof made) => {
    const { rows } = await sql<{ count: string; examples: string[] }>`
      select count(*) as count,
             coalesce((array_agg(d::text))[:${sql.lit(EXAMPLES)}], '{}') as examples
        from (select * from ${one} except all select * from ${other}) d`.execute(tx);
    return rows[0] as (typeof rows)[number];
  };
  const [missing, surplus] = [await differing(made, live), await differing(live, made)];
  return {
    table,
    rows: Number(counted.rows[0]?.rows),
    missing: Number(missing.count),
    surplus: Number(surplus.count),
    examples: [...missing.examples, ...surplus.examples],
  };
}

async function beside(tx: Transaction<unknown>): Promise<void> {
  await sql`select set_config('search_path', ${searchPath(BESIDE)}, true),
                   set_config('statement_timeout', '0', true)`.execute(tx);
}
