import type pg from 'pg';
import type { Clock } from '#core/kernel/instant.js';
import type { HeldKey } from '../data-key.js';
import { removeExportsBefore, type StoredKey, writeExport } from '../export-file.js';
import { EpochClosed, isLiving, type KeyHome, KeysUnreadable } from '../key-home.js';
import type { KeyOwner } from '../port.js';
import { unwrapDataKeys, wrapDataKeys } from '../wrapping.js';
import { EPOCH_LOCK, LOCKS, ROTATION_LOCK } from './locks.js';
import { alone, inTransaction, KEY_ID, type KeyRow, rowsOf, storedKeyIn } from './rows.js';

const BATCH = 2_000;

export interface VaultParts {
  readonly pool: pg.Pool;
  readonly home: KeyHome;
  /** Where exports go. */
  readonly directory: string;
  readonly clock: Clock;
}

type Progress = (done: number, total: number) => void;

/**
 * Moves every living key to a new epoch and ends the old ones, while others read and write.
 *
 * 1. The new epoch's key is made, durable in the key home.
 * 2. The database's epoch moves. Whoever writes a key holds EPOCH_LOCK shared while it compares its epoch
 *    with the database's and writes; the move takes that lock alone. So writers that began before are
 *    committed and will be seen by step 3, and those after it that still wrap under the old epoch, because
 *    that is what they have in memory, are told so and wrap again: from here on no row of an old epoch can
 *    appear.
 * 3. Rows of old epochs are re-wrapped in batches. What is left to do is what the rows say, so a rotation
 *    that was killed goes on where it stopped. A row destroyed meanwhile is not updated and so stays away.
 * 4. All living keys are written to an export, each opened once from what is stored now: what can not be
 *    taken back follows only on what was seen to work. The export is on disk, whole, before
 * 5. the old epochs' keys are destroyed, and older exports removed.
 *
 * When it returns, every key destroyed before it was called is unreadable in every copy.
 */
export async function rotateKeys(of: VaultParts, progress: Progress): Promise<void> {
  const [oldestAtCall] = await livingIn(of.home);
  await alone(of.pool, ROTATION_LOCK, async (client) => {
    const living = await livingIn(of.home);
    const unfinished = living.length > 1;
    if (unfinished) await rotateTo(living.at(-1)!, of, progress, client);
    // A rotation that another process or an earlier call began also serves this call, if it ended all
    // epochs in which a key was destroyed.
    const epoch = await epochIn(client);
    const served = epoch > oldestAtCall! && !(await destroyedSince(epoch, client));
    if (!served) await rotateTo(epoch + 1, of, progress, client);
  });
}

async function livingIn(home: KeyHome): Promise<readonly number[]> {
  await home.refresh();
  return home
    .epochs()
    .filter(isLiving)
    .map(({ n }) => n);
}

async function rotateTo(
  epoch: number,
  of: VaultParts,
  progress: Progress,
  client: pg.PoolClient,
): Promise<void> {
  const { home, directory, clock } = of;
  await home.begin(epoch, clock.now());
  await moveTo(epoch, client);
  await rewrapBefore(epoch, home, client, progress);
  await exportLiving(epoch, of, client);
  await checkNoneBefore(epoch, client);
  await home.closeBefore(epoch, clock.now());
  await removeExportsBefore(directory, epoch);
  await client.query(`select pg_notify('vault_rotated', $1)`, [String(epoch)]);
}

async function moveTo(epoch: number, client: pg.PoolClient): Promise<void> {
  await inTransaction(client, async () => {
    await client.query('select pg_advisory_xact_lock($1, $2)', [LOCKS, EPOCH_LOCK]);
    await client.query('update vault.home set epoch = $1 where epoch < $1', [epoch]);
    await client.query(`select pg_notify('vault_rotated', $1)`, [String(epoch)]);
  });
}

async function rewrapBefore(
  epoch: number,
  home: KeyHome,
  client: pg.PoolClient,
  progress: Progress,
): Promise<void> {
  const total = await countBefore(epoch, client);
  let done = 0;
  progress(done, total);
  let rows = await pageBefore(epoch, BEFORE_ALL, client);
  while (rows.length > 0) {
    await rewrap(epoch, rows, home, client);
    done += rows.length;
    progress(done, Math.max(done, total));
    rows = await pageBefore(epoch, rows.at(-1)!, client);
  }
}

const BEFORE_ALL: KeyOwner = { owner: '', compartment: '' };

async function pageBefore(
  epoch: number,
  after: KeyOwner,
  client: pg.PoolClient,
): Promise<readonly StoredKey[]> {
  const { rows } = await client.query<KeyRow>(
    `select owner, compartment, ${KEY_ID('key_id')} as key_id, epoch, wrapped from vault.keys
     where (owner, compartment) > ($1, $2) and epoch < $3
     order by owner, compartment limit ${BATCH}`,
    [after.owner, after.compartment, epoch],
  );
  return rows.map(storedKeyIn);
}

async function rewrap(
  epoch: number,
  rows: readonly StoredKey[],
  home: KeyHome,
  client: pg.PoolClient,
): Promise<void> {
  const keys = wholeKeys(rows, await unwrapDataKeys(home, rows));
  const wrapped = await wrapDataKeys(home, epoch, keys);
  for (const key of keys) key.wipe();
  await inTransaction(client, () =>
    client.query(
      `update vault.keys k set wrapped = w.wrapped, epoch = $1
       from unnest($2::text[], $3::text[], $4::bytea[]) w(owner, compartment, wrapped)
       where k.owner = w.owner and k.compartment = w.compartment and k.epoch < $1`,
      [epoch, rows.map(({ owner }) => owner), rows.map(({ compartment }) => compartment), wrapped],
    ),
  );
}

function wholeKeys(
  rows: readonly StoredKey[],
  keys: readonly (HeldKey | 'closed' | 'damaged')[],
): readonly HeldKey[] {
  return keys.map((key, i) => {
    if (typeof key !== 'string') return key;
    const { keyId, epoch } = rows[i]!;
    const reason = key === 'closed' ? `its epoch ${epoch} has ended` : 'what is stored was altered';
    throw new KeysUnreadable([keyId], `${reason}; no epoch was ended`);
  });
}

/** Writes the export of the present epoch, for a backup between rotations. */
export async function exportKeys(
  of: VaultParts,
): Promise<{ readonly epoch: number; readonly keys: number }> {
  return alone(of.pool, ROTATION_LOCK, async (client) => {
    const epoch = await epochIn(client);
    return { epoch, keys: await exportLiving(epoch, of, client) };
  });
}

async function exportLiving(
  epoch: number,
  { home, directory, clock }: VaultParts,
  client: pg.PoolClient,
): Promise<number> {
  const heading = { home: home.id, epoch, at: clock.now() };
  return (await writeExport(directory, heading, livingKeys(home, client))).keys;
}

async function* livingKeys(
  home: KeyHome,
  client: pg.PoolClient,
): AsyncGenerator<readonly StoredKey[]> {
  const query = `select owner, compartment, ${KEY_ID('key_id')} as key_id, epoch, wrapped from vault.keys`;
  for await (const page of rowsOf<KeyRow>(client, query)) {
    const rows = page.map(storedKeyIn);
    for (const key of wholeKeys(rows, await unwrapDataKeys(home, rows))) key.wipe();
    yield rows;
  }
}

async function checkNoneBefore(epoch: number, client: pg.PoolClient): Promise<void> {
  const left = await countBefore(epoch, client);
  if (left > 0) throw new KeysUnreadable(left, `still of an epoch before ${epoch}; none was ended`);
}

async function countBefore(epoch: number, client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ keys: string }>(
    'select count(*) as keys from vault.keys where epoch < $1',
    [epoch],
  );
  return Number(rows[0]!.keys);
}

async function destroyedSince(epoch: number, client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ some: boolean }>(
    'select exists (select from vault.destroyed_keys where epoch >= $1) as some',
    [epoch],
  );
  return rows[0]!.some;
}

/** The epoch in force. Throws EpochClosed(0) where the vault was never opened on this database. */
export async function epochIn(on: pg.Pool | pg.PoolClient): Promise<number> {
  const { rows } = await on.query<{ epoch: number }>('select epoch from vault.home');
  if (!rows[0]) throw new EpochClosed(0);
  return rows[0].epoch;
}
