import type pg from 'pg';
import type { Instant } from '#core/kernel/instant.js';
import type { ErasedKey, ErasedKeys } from '../erased-keys.js';
import type { Destroyed, KeyId } from '../port.js';
import { inTransaction, instantIn, KEY_ID, MOMENT, withClient } from './rows.js';

/** Stands in the tables for all that an owner has or could have. */
export const WHOLE_OWNER = '';

/**
 * Destroys an owner's keys in one transaction that holds the owner's lock: the registry of erased keys is
 * on disk before the first row goes, and a crash anywhere leaves either everything as it was or, from the
 * registry, all that is needed to finish at the next start.
 */
export async function destroyKeys(
  pool: pg.Pool,
  registry: ErasedKeys,
  now: () => Instant,
  owner: string,
  compartment: string = WHOLE_OWNER,
): Promise<Destroyed> {
  return withClient(pool, (client) =>
    inTransaction(client, async () => {
      await client.query('select vault.lock_destroying($1)', [[owner]]);
      const before = await earlier(client, owner, compartment);
      if (before) return before;
      const { epoch, keys } = await whatGoes(client, owner, compartment);
      const at = now();
      await registry.append(entries(owner, compartment, keys, epoch, at));
      await client.query('select vault.close($1, $2, $3, $4)', [
        [owner],
        [compartment],
        [epoch],
        [at],
      ]);
      return { keyIds: keys.map(({ keyId }) => keyId), destroyedAt: at, epoch };
    }),
  );
}

interface Going {
  readonly keyId: KeyId;
  readonly compartment: string;
}

/** What was answered when this, or the whole owner, was destroyed. */
async function earlier(
  client: pg.PoolClient,
  owner: string,
  compartment: string,
): Promise<Destroyed | undefined> {
  const { rows } = await client.query<{ closed: string; epoch: number; at: string }>(
    `select compartment as closed, epoch, ${MOMENT('destroyed_at')} as at from vault.tombstones
     where owner = $1 and compartment in ('', $2) order by compartment = $2 desc`,
    [owner, compartment],
  );
  const [tombstone] = rows;
  if (!tombstone) return undefined;
  const ids = await client.query<{ key_id: string }>(
    `select ${KEY_ID('key_id')} as key_id from vault.destroyed_keys
     where owner = $1 and closed = $2 and $3 in ('', compartment) order by compartment`,
    [owner, tombstone.closed, compartment],
  );
  return {
    keyIds: ids.rows.map((row) => row.key_id as KeyId),
    destroyedAt: instantIn(tombstone.at),
    epoch: tombstone.epoch,
  };
}

async function whatGoes(
  client: pg.PoolClient,
  owner: string,
  compartment: string,
): Promise<{ epoch: number; keys: readonly Going[] }> {
  const home = await client.query<{ epoch: number }>('select epoch from vault.home');
  const { rows } = await client.query<{ key_id: string; compartment: string }>(
    `select ${KEY_ID('key_id')} as key_id, compartment from vault.keys
     where owner = $1 and $2 in ('', compartment) order by compartment for update`,
    [owner, compartment],
  );
  const keys = rows.map((row) => ({ keyId: row.key_id as KeyId, compartment: row.compartment }));
  return { epoch: home.rows[0]!.epoch, keys };
}

function entries(
  owner: string,
  compartment: string,
  keys: readonly Going[],
  epoch: number,
  at: Instant,
): readonly ErasedKey[] {
  const closed = compartment === WHOLE_OWNER ? 'owner' : 'compartment';
  const none = { keyId: null, compartment: closed === 'owner' ? null : compartment };
  const gone: readonly Pick<ErasedKey, 'keyId' | 'compartment'>[] = keys.length ? keys : [none];
  return gone.map((key) => ({ ...key, owner, closed, epoch, at }));
}
