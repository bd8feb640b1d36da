import type pg from 'pg';
import { type HeldKey, newDataKey } from '../data-key.js';
import type { KeyCache } from '../key-cache.js';
import { EpochClosed, isLiving, type KeyHome, KeysUnreadable } from '../key-home.js';
import { nameOf } from '../names.js';
import type { KeyId, KeyOwner } from '../port.js';
import { unwrapDataKeys, wrapDataKeys, type WrappedKey } from '../wrapping.js';
import { epochIn } from './rotation.js';
import { KEY_ID } from './rows.js';

/** A load meets an epoch's end at most twice; more often, something is wrong. */
const ATTEMPTS = 5;

/** What became of one key. One that can not be read spoils nothing for those loaded with it. */
export type Loaded = HeldKey | 'destroyed' | 'unknown' | KeysUnreadable;

/** Loads keys in batches, one round trip each, and leaves them in the cache. */
export class KeyLoader {
  #epoch: number;

  constructor(
    private readonly pool: pg.Pool,
    private readonly home: KeyHome,
    private readonly cache: KeyCache,
  ) {
    this.#epoch = home.epochs().filter(isLiving).at(-1)!.n;
  }

  /** The owners' keys: for those who have none a fresh one is offered, and the database keeps it or gives its own. */
  async make(wanted: readonly KeyOwner[]): Promise<readonly Loaded[]> {
    const distinct = [...new Map(wanted.map((keyOwner) => [nameOf(keyOwner), keyOwner])).values()];
    const ticket = this.cache.ticket();
    const loaded = await this.#attempts(distinct.length, async () => {
      const known = await this.#ofOwners(distinct);
      const without = distinct.filter((_, i) => known[i]!.answer === 'unknown');
      const offered = new Map(without.map(newDataKey).map((key) => [key.id as string, key]));
      const made = await this.#offer(without, [...offered.values()]);
      const kept = new Set(made.map(({ key_id }) => key_id));
      for (const [id, key] of offered) if (!kept.has(id)) key.wipe();
      const next = made.values();
      const rows = known.map((row) =>
        row.answer === 'unknown' ? (next.next().value as Row) : row,
      );
      return this.#keysIn(rows, offered);
    });
    const byName = new Map<string, Loaded>();
    for (const [i, keyOwner] of distinct.entries()) {
      const key = loaded[i]!;
      byName.set(nameOf(keyOwner), key);
      if (isHeld(key)) this.cache.remember(keyOwner, key, ticket);
    }
    // Each caller has bytes of its own, so that none can wipe another's.
    return wanted.map((keyOwner) => copyOf(byName.get(nameOf(keyOwner))!));
  }

  /** Of each owner the key there is; `unknown` where there is none. */
  async #ofOwners(owners: readonly KeyOwner[]): Promise<readonly Row[]> {
    const { rows } = await this.pool.query<Row>(
      `select
         case when exists (select from vault.tombstones t
                where t.owner = w.owner and t.compartment in ('', w.compartment)) then 'destroyed'
           when k.key_id is null then 'unknown' else 'key' end as answer,
         ${KEY_ID('k.key_id')} as key_id, k.epoch, k.wrapped
       from unnest($1::text[], $2::text[]) with ordinality w(owner, compartment, place)
       left join vault.keys k on k.owner = w.owner and k.compartment = w.compartment
       order by w.place`,
      [owners.map(({ owner }) => owner), owners.map(({ compartment }) => compartment)],
    );
    return rows;
  }

  async #offer(owners: readonly KeyOwner[], offered: readonly HeldKey[]): Promise<readonly Row[]> {
    if (owners.length === 0) return [];
    const epoch = this.#epoch;
    const wrapped = await wrapDataKeys(this.home, epoch, offered);
    const { rows } = await this.pool.query<Row>(
      `select answer, ${KEY_ID('key_id')} as key_id, epoch, wrapped
       from vault.keys_for($1, $2, $3, $4, $5) order by place`,
      [
        owners.map(({ owner }) => owner),
        owners.map(({ compartment }) => compartment),
        offered.map(({ id }) => id),
        wrapped,
        epoch,
      ],
    );
    return rows;
  }

  /** The keys of these ids. */
  async read(ids: readonly KeyId[]): Promise<readonly Loaded[]> {
    const ticket = this.cache.ticket();
    let rows: readonly (Row & { owner: string; compartment: string })[] = [];
    const loaded = await this.#attempts(ids.length, async () => {
      const result = await this.pool.query<Row & { owner: string; compartment: string }>(
        `select
           case when d.key_id is not null then 'destroyed'
             when k.key_id is null then 'unknown' else 'key' end as answer,
           ${KEY_ID('k.key_id')} as key_id, k.epoch, k.wrapped, k.owner, k.compartment
         from unnest($1::uuid[]) with ordinality w(id, place)
         left join vault.keys k on k.key_id = w.id
         left join vault.destroyed_keys d on d.key_id = w.id
         order by w.place`,
        [ids],
      );
      rows = result.rows;
      return this.#keysIn(rows, new Map());
    });
    for (const [i, { owner, compartment }] of rows.entries()) {
      const key = loaded[i]!;
      if (isHeld(key)) this.cache.remember({ owner, compartment }, key, ticket);
    }
    return loaded.map(copyOf);
  }

  /** Tries again where an epoch began or ended between database and key home. */
  async #attempts(
    count: number,
    load: () => Promise<readonly (Loaded | 'again')[]>,
  ): Promise<readonly Loaded[]> {
    let loaded: readonly (Loaded | 'again')[] = Array.from({ length: count }, () => 'again');
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        loaded = await load();
      } catch (error) {
        if (!(error instanceof EpochClosed)) throw error;
      }
      if (!loaded.includes('again')) break;
      await this.home.refresh();
      this.#epoch = await epochIn(this.pool);
    }
    const ended = new KeysUnreadable(1, 'its epoch has ended, and no start has brought it back');
    return loaded.map((key) => (key === 'again' ? ended : key));
  }

  async #keysIn(
    rows: readonly Row[],
    offered: ReadonlyMap<string, HeldKey>,
  ): Promise<readonly (Loaded | 'again')[]> {
    const stored = rows.flatMap((row): WrappedKey[] =>
      row.answer === 'key' && !offered.has(row.key_id)
        ? [{ keyId: row.key_id as KeyId, epoch: row.epoch, wrapped: row.wrapped }]
        : [],
    );
    const unwrapped = (await unwrapDataKeys(this.home, stored)).values();
    return rows.map(({ answer, key_id }) => {
      if (answer === 'stale') return 'again';
      if (answer !== 'key') return answer;
      const key = offered.get(key_id) ?? (unwrapped.next().value as HeldKey | 'closed' | 'damaged');
      if (key === 'closed') return 'again';
      if (key === 'damaged')
        return new KeysUnreadable([key_id as KeyId], 'what is stored was altered');
      return key;
    });
  }
}

interface Row {
  readonly answer: 'key' | 'destroyed' | 'unknown' | 'stale';
  readonly key_id: string;
  readonly epoch: number;
  readonly wrapped: Buffer;
}

function isHeld(key: Loaded): key is HeldKey {
  return typeof key === 'object' && 'bytes' in key;
}

function copyOf(key: Loaded): Loaded {
  return isHeld(key) ? key.copy() : key;
}
