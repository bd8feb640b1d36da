import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import pg from 'pg';
import type { Position } from '#core/kernel/position.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { ledgerMigrations } from '#core/ledger/postgres/schema.js';
import { sampleEvent, sampleStream } from '#core/ledger/contract/samples.js';
import { kyselyOn, openPool, RUNTIME_ROLE } from '#core/platform/database.js';
import { migrate } from '#core/platform/migrate.js';
import { openCheckpoint } from '#core/proof/checkpoint.js';
import { Frontier, leafHash } from '#core/proof/merkle.js';
import { sha256, verifyEd25519 } from '#core/proof/node-crypto.js';
import { migrations as proofMigrations } from '#core/proof/postgres/migrations.js';
import { ProofTables } from '#core/proof/postgres/proof-tables.js';
import { Sealer, type SealerNotice, type SealerParts } from '#core/proof/sealer.js';
import { SignedCheckpoints } from '#core/proof/signed-checkpoints.js';
import { SigningKeys } from '#core/proof/signing-keys.js';
import { freshDatabase } from '../support/database.js';

export const ORIGIN = 'ledger.example/test';

/** A log with its proof: a database, a directory for keys, and sealers on them. */
export class ProofWorld {
  readonly notices: SealerNotice[] = [];
  private appended = 0;

  private constructor(
    readonly database: { url: string; drop(): Promise<void> },
    readonly directory: string,
    /** May do what no running ledger may. */
    readonly owner: pg.Client,
    readonly pool: pg.Pool,
    readonly db: Kysely<unknown>,
    readonly store: PostgresLedger,
    readonly tables: ProofTables,
    readonly keys: SigningKeys,
    readonly signed: SignedCheckpoints,
  ) {}

  static async open(directory?: string): Promise<ProofWorld> {
    const database = await freshDatabase();
    const { url } = database;
    const failed = () => undefined;
    const migrating = kyselyOn<unknown>(
      openPool({ connectionString: url, applicationName: 'migrate', onError: failed }),
    );
    await migrate(migrating, { ledger: ledgerMigrations, proof: proofMigrations });
    await migrating.destroy();
    const owner = new pg.Client({ connectionString: url });
    owner.on('error', failed);
    await owner.connect();
    const pool = openPool({
      connectionString: url,
      applicationName: 'proof',
      role: RUNTIME_ROLE,
      onError: failed,
    });
    const db = kyselyOn<unknown>(pool);
    const keyDirectory = directory ?? (await mkdtemp(join(tmpdir(), 'proof-')));
    return new ProofWorld(
      database,
      keyDirectory,
      owner,
      pool,
      db,
      new PostgresLedger({ connectionString: url }),
      new ProofTables(db),
      await SigningKeys.open(join(keyDirectory, 'signing-keys.json')),
      new SignedCheckpoints(join(keyDirectory, 'checkpoints'), ORIGIN),
    );
  }

  sealer(parts: Partial<SealerParts> = {}): Sealer {
    return new Sealer({
      store: this.store,
      tables: this.tables,
      keys: this.keys,
      signed: this.signed,
      witnesses: [],
      origin: ORIGIN,
      report: (notice) => this.notices.push(notice),
      every: 50,
      // Nobody gives the lease back in a crash.
      leaseFor: 1,
      ...parts,
    });
  }

  /** So many events more, each in a stream of its own. */
  async append(count: number): Promise<Position[]> {
    const positions: Position[] = [];
    for (let left = count; left > 0; left -= 500) {
      const batch = Array.from({ length: Math.min(left, 500) }, () => {
        const stream = sampleStream();
        // Of every few one that a check has to parse.
        const data = this.appended++ % 20 === 0 ? {} : { data: { text: 'plain', number: 7 } };
        const events = [sampleEvent(stream, data)] as const;
        return this.store.append({ stream, expected: { kind: 'none' }, events });
      });
      positions.push(...(await Promise.all(batch)).map(({ position }) => position));
    }
    return positions;
  }

  /**
   * What an outsider with origin and keys alone can say: nothing is missing, doubled or out of order among
   * the leaves, and every published checkpoint is signed and is the tree over the log's bytes. Computed
   * without tiles and without the code that seals.
   */
  async audited(): Promise<{ events: number; sealed: number; checkpoints: number }> {
    const { rows } = await this.owner.query<{ position: Position; bytes: Buffer }>(
      'select position, bytes from ledger.events order by position',
    );
    const checkpoints = new Map<number, string>();
    for await (const { size, note } of this.tables.checkpoints(ORIGIN)) checkpoints.set(size, note);
    const trusted = { origin: ORIGIN, keys: this.keys.verifierKeys(ORIGIN) };
    const tree = new Frontier(sha256);
    let sealed = 0;
    for (const { bytes } of rows) {
      tree.append(leafHash(sha256, bytes));
      const note = checkpoints.get(tree.size);
      if (note === undefined) continue;
      const opened = openCheckpoint(verifyEd25519, note, trusted);
      if ('flaw' in opened) throw new Error(opened.flaw);
      if (!Buffer.from(tree.root()).equals(opened.checkpoint.root))
        throw new Error(`the checkpoint of size ${tree.size} has another root`);
      sealed = tree.size;
      checkpoints.delete(tree.size);
    }
    const published = (await sql<{ n: number }>`
      select count(*)::int as n from proof.checkpoints`.execute(this.db)) as {
      rows: { n: number }[];
    };
    if (checkpoints.size > 0)
      throw new Error(`${checkpoints.size} checkpoints are not of this log`);
    const indexes = await this.tables.indexesOf(rows.map(({ position }) => position));
    const { size } = await this.tables.progress();
    rows.slice(0, size).forEach(({ position }, index) => {
      if (indexes.get(position) !== index) throw new Error(`${position} is not leaf ${index}`);
    });
    if (indexes.size !== size)
      throw new Error(`${size} leaves came from ${indexes.size} positions`);
    return { events: rows.length, sealed, checkpoints: published.rows[0]?.n ?? 0 };
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.db.destroy();
    await this.owner.end();
    await this.database.drop();
    await rm(this.directory, { recursive: true, force: true });
  }
}
