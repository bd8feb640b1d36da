import { join } from 'node:path';
import type pg from 'pg';
import { makeDirectory } from '../durable-file.js';
import { ErasedKeys } from '../erased-keys.js';
import { newestExport, readExport, type StoredKey } from '../export-file.js';
import {
  isLiving,
  type KeyHome,
  KeyHomeUnusable,
  KeysUnreadable,
  type OpenKeyHome,
} from '../key-home.js';
import { OPENING_LOCK } from './locks.js';
import { eraseAgain, knownErased } from './erased-in-tables.js';
import { alone } from './rows.js';

/** What a start had to put right. All zeros unless something was restored or lost. */
export interface Recovered {
  /** Keys that the newest export brought back. */
  readonly fromExport: number;
  /** Keys that a restore had brought back although they were erased: destroyed again. */
  readonly erasedAgain: number;
  /** Keys in a registry of erased keys that was missing and written anew from the database. */
  readonly registryRewritten: number;
}

export interface OpenedVault {
  readonly home: KeyHome;
  readonly registry: ErasedKeys;
  readonly recovered: Recovered;
}

/**
 * Brings key home, tables, export and registry together before anything is served; one process at a time.
 * After a restore: the newest export brings back the keys whose epoch ended after the backup was made, then
 * the registry destroys again what had been erased since.
 * @throws KeyHomeUnusable where the key home is missing or not this database's.
 * @throws KeysUnreadable where keys are left that nothing can unwrap.
 */
export async function openOn(
  pool: pg.Pool,
  openHome: OpenKeyHome,
  directory: string,
): Promise<OpenedVault> {
  return alone(pool, OPENING_LOCK, async (client) => {
    const { home, behind } = await homeFor(client, openHome);
    await makeDirectory(directory);
    const { registry, rewritten } = await ErasedKeys.open(
      join(directory, 'erased-keys.log'),
      knownErased(client),
    );
    const fromExport = behind ? await restoreFromExport(home, directory, client) : 0;
    const erasedAgain = await eraseAgain(registry, client);
    if (behind || erasedAgain > 0) await checkAllLiving(home, client);
    // Last, so that a start that ends before this does all of it again.
    if (behind) await settleOn(home, client);
    return { home, registry, recovered: { fromExport, erasedAgain, registryRewritten: rewritten } };
  });
}

/**
 * The key home that belongs to these tables; made only where they never held a key. `behind`: the tables
 * are empty, or of an epoch that has ended, as after a restore.
 */
async function homeFor(
  client: pg.PoolClient,
  openHome: OpenKeyHome,
): Promise<{ home: KeyHome; behind: boolean }> {
  const { rows } = await client.query<{ id: string | null; epoch: number | null; used: boolean }>(
    `select h.id, h.epoch,
       exists (select from vault.keys) or exists (select from vault.tombstones) as used
     from (select) one left join vault.home h on true`,
  );
  const { id, epoch, used } = rows[0]!;
  const home = await openHome({ mayCreate: id === null && !used });
  if (id === null || epoch === null) return { home, behind: true };
  if (id !== home.id)
    throw new KeyHomeUnusable(
      'of-another-database',
      `this database's keys are wrapped under key home ${id}, not ${home.id}`,
    );
  const living = livingIn(home);
  if (epoch > living.at(-1)!)
    throw new KeyHomeUnusable(
      'older-than-the-database',
      `the key home ends with epoch ${living.at(-1)}, the database is in epoch ${epoch}`,
    );
  return { home, behind: !living.includes(epoch) };
}

/** Where the tables are behind they now are of this home, in its newest epoch. */
async function settleOn(home: KeyHome, client: pg.PoolClient): Promise<void> {
  await client.query(
    `insert into vault.home (id, epoch) values ($1, $2)
     on conflict (only_one) do update set epoch = excluded.epoch`,
    [home.id, livingIn(home).at(-1)],
  );
}

function livingIn(home: KeyHome): readonly number[] {
  return home
    .epochs()
    .filter(isLiving)
    .map(({ n }) => n);
}

async function restoreFromExport(
  home: KeyHome,
  directory: string,
  client: pg.PoolClient,
): Promise<number> {
  const newest = await newestExport(directory);
  if (!newest) return 0;
  let restored = 0;
  for await (const page of readExport(newest, home.id))
    restored += await restorePage(page, livingIn(home), client);
  return restored;
}

async function restorePage(
  page: readonly StoredKey[],
  living: readonly number[],
  client: pg.PoolClient,
): Promise<number> {
  const { rowCount } = await client.query(
    `insert into vault.keys as k (owner, compartment, key_id, epoch, wrapped)
     select * from unnest($1::text[], $2::text[], $3::uuid[], $4::integer[], $5::bytea[])
     on conflict (owner, compartment) do update
       set epoch = excluded.epoch, wrapped = excluded.wrapped
       where k.epoch <> all($6::integer[]) and k.key_id = excluded.key_id`,
    [
      page.map(({ owner }) => owner),
      page.map(({ compartment }) => compartment),
      page.map(({ keyId }) => keyId),
      page.map(({ epoch }) => epoch),
      page.map(({ wrapped }) => wrapped),
      living,
    ],
  );
  return rowCount ?? 0;
}

async function checkAllLiving(home: KeyHome, client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ dead: string }>(
    'select count(*) as dead from vault.keys where epoch <> all($1::integer[])',
    [livingIn(home)],
  );
  const dead = Number(rows[0]!.dead);
  if (dead > 0)
    throw new KeysUnreadable(dead, 'their epoch has ended and no vault export holds them');
}
