import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { kyselyOn, openPool, RUNTIME_ROLE } from '#core/platform/database.js';
import { migrate } from '#core/platform/migrate.js';
import { KeyFile } from '#core/vault/key-file.js';
import type { KeyHome } from '#core/vault/key-home.js';
import type { KeyId, Vault } from '#core/vault/port.js';
import { migrations } from '#core/vault/postgres/migrations.js';
import { type OpenVault, openVault } from '#core/vault/postgres/open-vault.js';
import { PostgresVault, type PostgresVaultOptions } from '#core/vault/postgres/vault.js';
import { freshDatabase } from '../support/database.js';

type Options = Partial<Omit<PostgresVaultOptions, 'pool' | 'home' | 'directory'>>;

/** A migrated database and a directory for keys, and processes on them: each with a pool of its own. */
export class VaultDatabase {
  readonly keyFile: string;
  readonly registry: string;
  /** With the rights of the owner. */
  readonly admin: pg.Pool;
  readonly #pools: pg.Pool[] = [];
  readonly #open: Vault[] = [];

  private constructor(
    readonly url: string,
    readonly directory: string,
    private readonly drop: () => Promise<void>,
  ) {
    this.keyFile = join(directory, 'epoch-keys.json');
    this.registry = join(directory, 'erased-keys.log');
    this.admin = new pg.Pool({ connectionString: url, max: 3 });
    this.admin.on('error', () => undefined);
  }

  static async make(): Promise<VaultDatabase> {
    const { url, drop } = await freshDatabase();
    const directory = await mkdtemp(join(tmpdir(), 'vault-'));
    const db = kyselyOn<unknown>(new pg.Pool({ connectionString: url, max: 1 }));
    await migrate(db, { vault: migrations });
    await db.destroy();
    return new VaultDatabase(url, directory, drop);
  }

  /** Opens the vault as a process of its own would, under the runtime role. */
  async process(options: Options = {}): Promise<OpenVault> {
    const opened = await openVault({
      pool: this.#pool(),
      keyFile: this.keyFile,
      cacheMs: 200,
      ...options,
    });
    this.#open.push(opened.vault);
    return opened;
  }

  /** The same, with a key home that is changed for the test. */
  async processWith(change: (home: KeyHome) => KeyHome): Promise<Vault> {
    const vault = await PostgresVault.open({
      pool: this.#pool(),
      home: async (create) => change(await KeyFile.open(this.keyFile, create)),
      directory: this.directory,
    });
    this.#open.push(vault);
    return vault;
  }

  #pool(): pg.Pool {
    const pool = openPool({
      connectionString: this.url,
      applicationName: 'vault',
      role: RUNTIME_ROLE,
      max: 4,
      plannedOnce: true,
      onError: () => undefined,
    });
    this.#pools.push(pool);
    return pool;
  }

  async erased(): Promise<readonly KeyId[]> {
    const lines = (await readFile(this.registry, 'utf8')).split('\n').filter((line) => line !== '');
    return lines
      .map((line) => (JSON.parse(line) as { keyId: KeyId | null }).keyId)
      .filter((id) => id !== null);
  }

  async rows<Row extends pg.QueryResultRow>(query: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.admin.query<Row>(query, values)).rows;
  }

  async count(from: string, values: unknown[] = []): Promise<number> {
    const [row] = await this.rows<{ n: number }>(`select count(*)::int as n from ${from}`, values);
    return row!.n;
  }

  async end(): Promise<void> {
    for (const vault of this.#open) await vault.close();
    await Promise.all([...this.#pools, this.admin].map((pool) => pool.end()));
    await this.drop();
    await rm(this.directory, { recursive: true });
  }
}
