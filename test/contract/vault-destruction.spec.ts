import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { ErasedKeys, RegistryMissing } from '#core/vault/erased-keys.js';
import { KeyDestroyed, type KeyId } from '#core/vault/port.js';
import { unwrapKey } from '#core/vault/primitives.js';
import { VaultDatabase } from './vault-database.js';

const ANNA = { owner: 'sub_anna', compartment: 'identity' };
const ANNAS_MAIL = { owner: 'sub_anna', compartment: 'cpt_1' };
const BEN = { owner: 'sub_ben', compartment: 'identity' };

/** A lock that only these tests use: whoever deletes a key waits for it. */
const GATE = 424_242;

describe('destruction in PostgreSQL', () => {
  let database: VaultDatabase;
  beforeEach(async () => {
    database = await VaultDatabase.make();
  });
  afterEach(() => database.end());

  const onDelete = (what: string): Promise<unknown> =>
    database.admin.query(
      `create function before_delete() returns trigger language plpgsql security definer as
         $$ begin ${what}; return old; end $$;
       create trigger before_delete before delete on vault.keys
         for each row execute function before_delete()`,
    );
  const asBefore = (): Promise<unknown> =>
    database.admin.query('drop function before_delete() cascade');

  /** What is already in the registry, and still in the table, when the first row is about to go. */
  async function whenTheFirstRowGoes(destroy: () => Promise<unknown>): Promise<[number, number]> {
    await onDelete(`perform pg_advisory_xact_lock(${GATE})`);
    const gate = await database.admin.connect();
    await gate.query('select pg_advisory_lock($1)', [GATE]);
    const destroyed = destroy();
    const waiting = `pg_locks where locktype = 'advisory' and objid = ${GATE} and not granted`;
    while ((await database.count(waiting)) === 0) await pause(5);
    const seen: [number, number] = [
      (await database.erased()).length,
      await database.count('vault.keys'),
    ];
    await gate.query('select pg_advisory_unlock($1)', [GATE]);
    gate.release();
    await destroyed;
    return seen;
  }

  test('the registry is written before the first key goes', async () => {
    const { vault } = await database.process();
    await vault.keysFor([ANNA, ANNAS_MAIL]);
    expect(await whenTheFirstRowGoes(() => vault.destroy(ANNA.owner))).toEqual([2, 2]);
    expect(await database.count('vault.keys')).toBe(0);
  });

  test('canary: a twin that writes the registry afterwards is noticed', async () => {
    const { vault } = await database.process();
    const [key] = await vault.keysFor([ANNA]);
    const twin = async (): Promise<void> => {
      const at = vault.home.epochs()[0]!.startedAt;
      await database.admin.query('select vault.close($1, $2, $3, $4)', [
        [ANNA.owner],
        [''],
        [1],
        [at],
      ]);
      const { registry } = await ErasedKeys.open(database.registry, (async function* () {})());
      await registry.append([{ ...ANNA, keyId: key!.id, closed: 'owner', epoch: 1, at }]);
    };
    expect(await whenTheFirstRowGoes(twin)).toEqual([0, 1]);
  });

  test('killed between registry and deletion: done at the next start, with the moment of the first try', async () => {
    const { vault } = await database.process();
    const [anna, mail, ben] = await vault.keysFor([ANNA, ANNAS_MAIL, BEN]);
    await onDelete('perform pg_terminate_backend(pg_backend_pid())');
    await expect(vault.destroy(ANNA.owner)).rejects.toThrow();
    await asBefore();
    expect((await database.erased()).toSorted()).toEqual([anna!.id, mail!.id].toSorted());
    expect(await database.count('vault.keys')).toBe(3);
    expect((await vault.open([anna!.id])).get(anna!.id)).toMatchObject({ id: anna!.id });

    const { vault: next } = await database.process();
    expect(next.recovered).toEqual({ fromExport: 0, erasedAgain: 2, registryRewritten: 0 });
    expect((await next.open([anna!.id])).get(anna!.id)).toBe('destroyed');
    expect((await next.open([ben!.id])).get(ben!.id)).toMatchObject({ id: ben!.id });
    await expect(next.keysFor([ANNA])).rejects.toThrow(KeyDestroyed);
    const [line] = (await readFile(database.registry, 'utf8')).split('\n').filter((text) => text);
    const done = await next.destroy(ANNA.owner);
    expect(done.destroyedAt).toBe((JSON.parse(line!) as { at: string }).at);
    expect([...done.keyIds].sort()).toEqual([anna!.id, mail!.id].sort());
    expect((await database.erased()).length).toBe(2);
  });

  test('killed so, and repeated without a restart: done, once', async () => {
    const { vault } = await database.process();
    const [key] = await vault.keysFor([ANNA]);
    await onDelete('perform pg_terminate_backend(pg_backend_pid())');
    await expect(vault.destroy(ANNA.owner)).rejects.toThrow();
    await asBefore();
    expect((await vault.destroy(ANNA.owner)).keyIds).toEqual([key!.id]);
    const { vault: next } = await database.process();
    expect(next.recovered.erasedAgain).toBe(0);
    expect((await next.status()).destroyed).toBe(1);
  });

  test('where the registry can not be written nothing is destroyed', async () => {
    const { vault } = await database.process();
    const [key] = await vault.keysFor([ANNA]);
    await rm(database.registry);
    await expect(vault.destroy(ANNA.owner)).rejects.toThrow(RegistryMissing);
    expect((await vault.open([key!.id])).get(key!.id)).toMatchObject({ id: key!.id });
    expect((await vault.keysFor([ANNA]))[0]!.id).toBe(key!.id);
  });

  test('another process hears of it long before its cache expires', async () => {
    const [{ vault }, { vault: other }] = [
      await database.process(),
      await database.process({ cacheMs: 5_000 }),
    ];
    const [key] = await other.keysFor([ANNA]);
    await vault.destroy(ANNA.owner);
    const started = performance.now();
    while ((await other.open([key!.id])).get(key!.id) !== 'destroyed') await pause(5);
    expect(performance.now() - started).toBeLessThan(2_000);
    await expect(other.keysFor([ANNA])).rejects.toThrow(KeyDestroyed);
  });

  test('listening survives that its connection is cut', async () => {
    const [{ vault }, { vault: other }] = [
      await database.process({ listen: false }),
      await database.process({ cacheMs: 5_000 }),
    ];
    await database.admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and query like 'listen%'`,
    );
    const listening = `pg_stat_activity where datname = current_database() and query like 'listen%'`;
    while ((await database.count(listening)) === 0) await pause(20);
    const [key] = await other.keysFor([ANNA]);
    await vault.destroy(ANNA.owner);
    const started = performance.now();
    while ((await other.open([key!.id])).get(key!.id) !== 'destroyed') await pause(5);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('the runtime role can neither change nor remove what was closed', async () => {
    const { vault } = await database.process();
    await vault.keysFor([ANNA]);
    await vault.destroy(ANNA.owner);
    const client = await database.admin.connect();
    await client.query('set role ledger_runtime');
    for (const statement of [
      'delete from vault.tombstones',
      `update vault.tombstones set owner = 'x'`,
      'truncate vault.tombstones',
      'delete from vault.destroyed_keys',
      `update vault.keys set owner = 'x'`,
      `update vault.home set id = 'x'`,
      'delete from vault.home',
    ])
      await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
    await client.query('reset role');
    client.release();
  });

  describe('old copies', () => {
    interface Copy {
      readonly wrapped: Buffer;
    }
    const copyOf = async (id: KeyId): Promise<Buffer> => {
      const rows = await database.rows<Copy>('select wrapped from vault.keys where key_id = $1', [
        id,
      ]);
      return rows[0]!.wrapped;
    };
    /** Whether any key in the key file unwraps the copy. */
    const opensWith = (keyFile: string, wrapped: Buffer): boolean =>
      (keyFile.match(/[A-Za-z0-9+/]{43}=/g) ?? []).some(
        (key) => unwrapKey(Buffer.from(key, 'base64'), wrapped) !== undefined,
      );

    test('of a destroyed key can be read until its epoch ends, and never after', async () => {
      const { vault } = await database.process();
      const [anna, ben] = await vault.keysFor([ANNA, BEN]);
      const [old, bens] = [await copyOf(anna!.id), await copyOf(ben!.id)];
      const { epoch } = await vault.destroy(ANNA.owner);
      const before = await readFile(database.keyFile, 'utf8');
      // The window that a certificate has to name, and the proof that this test can see it.
      expect(opensWith(before, old)).toBe(true);

      const { closed } = await vault.rotate();
      expect(closed.map((end) => end.epoch)).toContain(epoch);
      const after = await readFile(database.keyFile, 'utf8');
      expect(opensWith(after, old)).toBe(false);
      expect(opensWith(after, bens)).toBe(false);
      expect(opensWith(after, await copyOf(ben!.id))).toBe(true);
    });

    test('are in no vault export', async () => {
      const { vault } = await database.process();
      const [anna, ben] = await vault.keysFor([ANNA, BEN]);
      await vault.rotate();
      await vault.destroy(ANNA.owner);
      await vault.rotate();
      const text = await readFile(`${database.directory}/vault-export-3.ndjson`, 'utf8');
      expect(text).toContain(ben!.id);
      expect(text).not.toContain(anna!.id);
    });
  });
});
