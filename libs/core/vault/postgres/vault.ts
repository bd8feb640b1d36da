import type pg from 'pg';
import { type Clock, systemClock } from '#core/kernel/instant.js';
import { Batcher } from '../batcher.js';
import { isKeyId } from '../data-key.js';
import type { ErasedKeys } from '../erased-keys.js';
import { KeyCache } from '../key-cache.js';
import { type KeyHome, KeysUnreadable, type OpenKeyHome } from '../key-home.js';
import { checkKeyOwner, checkName } from '../names.js';
import {
  type DataKey,
  type Destroyed,
  KeyDestroyed,
  KEYS_CACHED_MS,
  type KeyId,
  type KeyOwner,
  type Vault,
  type VaultStatus,
} from '../port.js';
import { destroyKeys } from './destruction.js';
import { KeyLoader, type Loaded } from './key-loading.js';
import { Notifications } from './notifications.js';
import { openOn, type Recovered } from './opening.js';
import { exportKeys, rotateKeys } from './rotation.js';

export interface PostgresVaultOptions {
  /**
   * Of the database with the schema `vault`, migrated. It stays the caller's, and must be closed after the
   * vault: while it listens the vault keeps one of its connections.
   */
  readonly pool: pg.Pool;
  readonly home: OpenKeyHome;
  /** For the registry of erased keys and the exports: beside the epoch keys, in no database's backup. */
  readonly directory: string;
  readonly clock?: Clock;
  /** Milliseconds that a key is answered from memory: KEYS_CACHED_MS at most, 4,500 unless said otherwise. */
  readonly cacheMs?: number;
  /** Keys in memory at most. */
  readonly cacheSize?: number;
  /** False: destruction in other processes is noticed when the cache expires. */
  readonly listen?: boolean;
}

/**
 * Less than what is promised: the moment of a destruction is taken before it is committed, and until then
 * others may still load the key.
 */
const CACHE_MS = KEYS_CACHED_MS - 500;
const CACHE_SIZE = 20_000;
const BATCH = 1_000;
/** The vault in PostgreSQL: keys wrapped under an epoch key that lives elsewhere. */
export class PostgresVault implements Vault {
  readonly #making = new Batcher<KeyOwner, Loaded>((wanted) => this.#loader.make(wanted), BATCH);
  readonly #reading = new Batcher<KeyId, Loaded>((ids) => this.#loader.read(ids), BATCH);
  readonly #notifications: Notifications;
  readonly #cache: KeyCache;
  readonly #loader: KeyLoader;

  private constructor(
    private readonly pool: pg.Pool,
    readonly home: KeyHome,
    private readonly registry: ErasedKeys,
    private readonly directory: string,
    private readonly clock: Clock,
    cache: KeyCache,
    /** What the start had to put right: worth a line in the log where it is not nothing. */
    readonly recovered: Recovered,
  ) {
    this.#cache = cache;
    this.#loader = new KeyLoader(pool, home, cache);
    this.#notifications = new Notifications(pool, {
      destroyed: (owner) => cache.forget(owner),
      rotated: () => void home.refresh().catch(() => undefined),
      listening: () => cache.forgetAll(),
    });
  }

  /** Opens the vault, after what `openOn` puts right. Safe from several processes at once. */
  static async open(options: PostgresVaultOptions): Promise<PostgresVault> {
    const {
      pool,
      directory,
      clock = systemClock,
      cacheMs = CACHE_MS,
      cacheSize = CACHE_SIZE,
    } = options;
    if (!(cacheMs >= 0 && cacheMs <= KEYS_CACHED_MS))
      throw new RangeError(`keys are cached for ${KEYS_CACHED_MS} ms at most`);
    const { home, registry, recovered } = await openOn(pool, options.home, directory);
    const cache = new KeyCache(cacheMs, cacheSize);
    const vault = new PostgresVault(pool, home, registry, directory, clock, cache, recovered);
    if (options.listen ?? true) await vault.#notifications.listen();
    return vault;
  }

  async keysFor(wanted: readonly KeyOwner[]): Promise<readonly DataKey[]> {
    wanted.forEach(checkKeyOwner);
    const known = wanted.map((keyOwner) => this.#cache.byOwner(keyOwner));
    const missing = wanted.filter((_, i) => known[i] === undefined);
    const made = (await this.#making.ask(missing)).values();
    return wanted.map((keyOwner, i) => {
      const key = known[i] ?? (made.next().value as Loaded);
      if (key === 'destroyed') throw new KeyDestroyed(keyOwner);
      return readable(key, keyOwner);
    });
  }

  async open(
    ids: readonly KeyId[],
  ): Promise<ReadonlyMap<KeyId, DataKey | 'destroyed' | 'unknown'>> {
    const answers = new Map<KeyId, DataKey | 'destroyed' | 'unknown'>();
    const missing: KeyId[] = [];
    for (const id of new Set(ids)) {
      const known = isKeyId(id) ? this.#cache.byId(id) : 'unknown';
      if (known === undefined) missing.push(id);
      else answers.set(id, known);
    }
    const read = await this.#reading.ask(missing);
    for (const [i, id] of missing.entries()) {
      const key = read[i]!;
      if (key instanceof KeysUnreadable) throw key;
      answers.set(id, key);
    }
    return answers;
  }

  async destroy(owner: string, compartment?: string): Promise<Destroyed> {
    checkName('owner', owner);
    if (compartment !== undefined) checkName('compartment', compartment);
    try {
      const now = (): ReturnType<Clock['now']> => this.clock.now();
      return await destroyKeys(this.pool, this.registry, now, owner, compartment);
    } finally {
      // Also where it failed: the outcome may be unknown.
      this.#cache.forget(owner, compartment);
    }
  }

  async rotate(
    progress: (done: number, total: number) => void = () => undefined,
  ): Promise<VaultStatus> {
    const { pool, home, directory, clock } = this;
    await rotateKeys({ pool, home, directory, clock }, progress);
    return this.status();
  }

  /** Writes every living key, wrapped, to the export of the present epoch: a backup between rotations. */
  async export(): Promise<{ readonly epoch: number; readonly keys: number }> {
    const { pool, home, directory, clock } = this;
    return exportKeys({ pool, home, directory, clock });
  }

  async status(): Promise<VaultStatus> {
    const { rows } = await this.pool.query<{ epoch: number; living: string; destroyed: string }>(
      `select h.epoch, (select count(*) from vault.keys) as living,
         (select count(*) from vault.destroyed_keys) as destroyed
       from vault.home h`,
    );
    const { epoch, living, destroyed } = rows[0]!;
    await this.home.refresh();
    const epochs = this.home.epochs();
    return {
      epoch,
      epochStartedAt: epochs.find(({ n }) => n === epoch)!.startedAt,
      living: Number(living),
      destroyed: Number(destroyed),
      closed: epochs.flatMap(({ n, closedAt }) => (closedAt ? [{ epoch: n, closedAt }] : [])),
    };
  }

  async close(): Promise<void> {
    this.#notifications.close();
    this.#cache.close();
  }
}

function readable(key: DataKey | Exclude<Loaded, 'destroyed'>, keyOwner: KeyOwner): DataKey {
  if (key === 'unknown') throw new KeysUnreadable(1, `no key of ${keyOwner.owner} was made`);
  if (key instanceof KeysUnreadable) throw key;
  return key;
}
