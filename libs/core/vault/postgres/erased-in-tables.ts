import type pg from 'pg';
import type { ErasedKey, ErasedKeys } from '../erased-keys.js';
import type { KeyId } from '../port.js';
import { WHOLE_OWNER } from './destruction.js';
import { inTransaction, instantIn, KEY_ID, MOMENT, rowsOf } from './rows.js';

/** The tables' side of the registry of erased keys: what it says is done there, and written from there. */

/** Applies the whole registry: what it says stays closed, whatever came back. Gives how many keys went. */
export async function eraseAgain(registry: ErasedKeys, client: pg.PoolClient): Promise<number> {
  let gone = 0;
  for await (const page of registry.pages()) {
    const missing = await notApplied(page, client);
    if (missing.length) gone += await apply(missing, client);
  }
  return gone;
}

const closedBy = ({ closed, compartment }: ErasedKey): string =>
  closed === 'owner' ? WHOLE_OWNER : (compartment ?? WHOLE_OWNER);

/** Entries without their tombstone, or with something left that their tombstone forbids. */
async function notApplied(
  page: readonly ErasedKey[],
  client: pg.PoolClient,
): Promise<readonly ErasedKey[]> {
  const { rows } = await client.query<{ place: number }>(
    `select c.place::integer as place
     from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality c(owner, closed, key_id, place)
     where not exists (
         select from vault.tombstones t where t.owner = c.owner and t.compartment = c.closed)
       or c.key_id is not null and not exists (
         select from vault.destroyed_keys d where d.key_id = c.key_id)
       or exists (
         select from vault.keys k where k.owner = c.owner and c.closed in ('', k.compartment))
       or exists (
         select from vault.lookup l where l.owner = c.owner and c.closed in ('', l.reference))
       or exists (select from vault.reservations r where r.owner = c.owner and c.closed = '')`,
    [page.map(({ owner }) => owner), page.map(closedBy), page.map(({ keyId }) => keyId)],
  );
  return rows.map(({ place }) => page[place - 1]!);
}

async function apply(entries: readonly ErasedKey[], client: pg.PoolClient): Promise<number> {
  const owners = entries.map(({ owner }) => owner);
  const closed = entries.map(closedBy);
  const epochs = entries.map(({ epoch }) => epoch);
  const withKey = entries.filter(({ keyId }) => keyId !== null);
  return inTransaction(client, async () => {
    await client.query('select vault.lock_destroying($1)', [owners]);
    await client.query(
      `insert into vault.destroyed_keys (key_id, owner, compartment, closed, epoch)
       select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[])
       on conflict do nothing`,
      [
        withKey.map(({ keyId }) => keyId),
        withKey.map(({ owner }) => owner),
        withKey.map(({ compartment }) => compartment),
        withKey.map(closedBy),
        withKey.map(({ epoch }) => epoch),
      ],
    );
    const { rows } = await client.query<{ gone: string }>(
      'select vault.close($1, $2, $3, $4) as gone',
      [owners, closed, epochs, entries.map(({ at }) => at)],
    );
    return Number(rows[0]!.gone);
  });
}

/** What the database knows of erased keys, for a registry that is missing. */
export async function* knownErased(client: pg.PoolClient): AsyncGenerator<readonly ErasedKey[]> {
  interface Row {
    readonly owner: string;
    readonly closed: string;
    readonly key_id: string | null;
    readonly compartment: string | null;
    readonly epoch: number;
    readonly at: string;
  }
  const query = `select t.owner, t.compartment as closed, ${KEY_ID('d.key_id')} as key_id,
      d.compartment, t.epoch, ${MOMENT('t.destroyed_at')} as at
    from vault.tombstones t
    left join vault.destroyed_keys d on d.owner = t.owner and d.closed = t.compartment
    order by t.destroyed_at, t.owner, t.compartment`;
  for await (const rows of rowsOf<Row>(client, query))
    yield rows.map(({ owner, closed, key_id, compartment, epoch, at }) => ({
      keyId: key_id as KeyId | null,
      owner,
      compartment: compartment ?? (closed === WHOLE_OWNER ? null : closed),
      closed: closed === WHOLE_OWNER ? 'owner' : 'compartment',
      epoch,
      at: instantIn(at),
    }));
}
