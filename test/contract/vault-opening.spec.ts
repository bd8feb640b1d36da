import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { copyFile, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { RegistryDamaged } from '#core/vault/erased-keys.js';
import { KeyHomeUnusable, KeysUnreadable } from '#core/vault/key-home.js';
import type { DataKey, KeyId, Vault } from '#core/vault/port.js';
import { VaultDatabase } from './vault-database.js';

const ANNA = { owner: 'sub_anna', compartment: 'identity' };
const ANNAS_MAIL = { owner: 'sub_anna', compartment: 'cpt_1' };
const BEN = { owner: 'sub_ben', compartment: 'identity' };
const CARLA = { owner: 'sub_carla', compartment: 'identity' };
const LATER = { owner: 'sub_later', compartment: 'identity' };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const answer = async (vault: Vault, id: KeyId): Promise<string | undefined> => {
  const found = (await vault.open([id])).get(id);
  return typeof found === 'object' ? hex(found.bytes) : found;
};

describe('opening the vault in PostgreSQL', () => {
  let database: VaultDatabase;
  beforeEach(async () => {
    database = await VaultDatabase.make();
  });
  afterEach(() => database.end());

  /** The tables as a database backup has them. */
  const TABLES = ['home', 'keys', 'tombstones', 'destroyed_keys', 'lookup', 'reservations'];
  const backup = async (): Promise<void> => {
    await database.admin.query('create schema backup');
    for (const table of TABLES)
      await database.admin.query(`create table backup.${table} as table vault.${table}`);
  };
  const restore = async (tables = TABLES, wipe = true): Promise<void> => {
    for (const table of tables)
      await database.admin.query(
        `${wipe ? `truncate vault.${table};` : ''}
         insert into vault.${table} select * from backup.${table} on conflict do nothing`,
      );
  };

  describe('the key home', () => {
    test('is made once by processes that start at the same time', async () => {
      const all = await Promise.all(Array.from({ length: 4 }, () => database.process()));
      expect(new Set(all.map(({ vault }) => vault.home.id)).size).toBe(1);
      expect(await database.count('vault.home')).toBe(1);
    });

    test.each(['keys', 'nothing yet'])(
      'that is missing is said loudly where the database has %s',
      async (has) => {
        const { vault } = await database.process();
        if (has === 'keys') await vault.keysFor([ANNA]);
        await rm(database.keyFile);
        await expect(database.process()).rejects.toMatchObject({
          name: 'KeyHomeUnusable',
          reason: 'missing',
        });
        await expect(stat(database.keyFile)).rejects.toThrow();
      },
    );

    test('that is missing is said loudly also where the tables have forgotten it', async () => {
      const { vault } = await database.process();
      await vault.keysFor([ANNA]);
      await database.admin.query('truncate vault.home');
      await rm(database.keyFile);
      await expect(database.process()).rejects.toMatchObject({ reason: 'missing' });
    });

    test('of another database is refused', async () => {
      const { vault } = await database.process();
      await vault.keysFor([ANNA]);
      const other = await VaultDatabase.make();
      await other.process();
      await copyFile(other.keyFile, database.keyFile);
      await other.end();
      await expect(database.process()).rejects.toMatchObject({ reason: 'of-another-database' });
    });

    test('that is older than the database is refused', async () => {
      const { vault } = await database.process();
      const old = await readFile(database.keyFile);
      await vault.keysFor([ANNA]);
      await vault.rotate();
      await writeFile(database.keyFile, old);
      await expect(database.process()).rejects.toMatchObject({ reason: 'older-than-the-database' });
      await expect(database.process()).rejects.toThrow(KeyHomeUnusable);
    });
  });

  describe('the registry of erased keys', () => {
    test('that is missing is written anew from the database', async () => {
      const { vault } = await database.process();
      await vault.keysFor([ANNA, ANNAS_MAIL, BEN]);
      await vault.destroy(ANNAS_MAIL.owner, ANNAS_MAIL.compartment);
      await vault.destroy(ANNA.owner);
      await vault.destroy(LATER.owner);
      const before = await readFile(database.registry, 'utf8');
      await rm(database.registry);
      const { vault: next } = await database.process();
      expect(next.recovered).toEqual({ fromExport: 0, erasedAgain: 0, registryRewritten: 3 });
      const lines = (text: string): string[] => text.split('\n').filter((line) => line);
      expect(lines(await readFile(database.registry, 'utf8')).sort()).toEqual(lines(before).sort());
    });

    test('that was altered stops the start', async () => {
      const { vault } = await database.process();
      await vault.keysFor([ANNA]);
      await vault.destroy(ANNA.owner);
      const text = await readFile(database.registry, 'utf8');
      await writeFile(database.registry, text.replace('sub_anna', 'sub_anne'));
      await expect(database.process()).rejects.toThrow(RegistryDamaged);
    });
  });

  describe('after a restore', () => {
    let keys: readonly DataKey[];
    let vault: Vault;

    beforeEach(async () => {
      const opened = await database.process();
      vault = opened.vault;
      keys = await vault.keysFor([ANNA, ANNAS_MAIL, BEN, CARLA]);
      const entry = { kind: 'email', value: 'anna@example.org', reference: 'cpt_1' };
      await opened.index.add([
        { ...entry, owner: ANNA.owner },
        { ...entry, owner: BEN.owner },
      ]);
      await opened.index.reserve('external', 'crm/7', ANNA.owner);
      await backup();
    });

    const erasedStayErased = async (): Promise<void> => {
      const { vault: next, index } = await database.process();
      expect(await answer(next, keys[0]!.id)).toBe('destroyed');
      expect(await answer(next, keys[1]!.id)).toBe('destroyed');
      expect(await answer(next, keys[2]!.id)).toBe(hex(keys[2]!.bytes));
      expect(await index.find('email', 'anna@example.org')).toEqual([BEN.owner]);
      expect(await index.reserve('external', 'crm/7', BEN.owner)).toBe(BEN.owner);
      await expect(next.keysFor([ANNA])).rejects.toMatchObject({ name: 'KeyDestroyed' });
    };

    test('of single rows, what was erased is destroyed again before anything is served', async () => {
      const destroyed = await vault.destroy(ANNA.owner);
      await restore(['keys', 'lookup', 'reservations'], false);
      await erasedStayErased();
      expect(await vault.destroy(ANNA.owner)).toEqual(destroyed);
    });

    test('of the whole schema, what was erased is destroyed again before anything is served', async () => {
      const destroyed = await vault.destroy(ANNA.owner);
      await restore();
      await erasedStayErased();
      expect(await vault.destroy(ANNA.owner)).toEqual(destroyed);
      const { vault: next } = await database.process();
      expect(next.recovered).toEqual({ fromExport: 0, erasedAgain: 0, registryRewritten: 0 });
    });

    test('from before a rotation, the newest export brings the living keys back', async () => {
      const destroyed = await vault.destroy(ANNA.owner);
      await vault.rotate();
      await vault.destroy(CARLA.owner);
      const [later] = await vault.keysFor([LATER]);
      await vault.rotate();
      await vault.rotate();
      await restore();
      const { vault: next } = await database.process();
      expect(next.recovered).toEqual({ fromExport: 2, erasedAgain: 3, registryRewritten: 0 });
      expect(await answer(next, keys[2]!.id)).toBe(hex(keys[2]!.bytes));
      expect(await answer(next, keys[3]!.id)).toBe('destroyed');
      expect(await answer(next, later!.id)).toBe(hex(later!.bytes));
      expect(await next.status()).toMatchObject({ epoch: 4, living: 2, destroyed: 3 });
      expect(await next.destroy(ANNA.owner)).toEqual(destroyed);
      await erasedStayErased();
      const [fresh] = await next.keysFor([{ owner: 'sub_fresh', compartment: 'identity' }]);
      await next.rotate();
      expect(await answer(next, fresh!.id)).toBe(hex(fresh!.bytes));
    });

    test('into an empty vault, the newest export and the registry are enough', async () => {
      await vault.rotate();
      await vault.destroy(ANNA.owner);
      await database.admin.query(`truncate ${TABLES.map((table) => `vault.${table}`).join()}`);
      const { vault: next } = await database.process();
      expect(next.recovered).toEqual({ fromExport: 4, erasedAgain: 2, registryRewritten: 0 });
      expect(await answer(next, keys[0]!.id)).toBe('destroyed');
      expect(await answer(next, keys[2]!.id)).toBe(hex(keys[2]!.bytes));
      expect(await next.status()).toMatchObject({ epoch: 2, living: 2, destroyed: 2 });
    });

    test('into an empty vault, an export between rotations brings also what was made since', async () => {
      await vault.rotate();
      const [later] = await vault.keysFor([LATER]);
      const { vault: exporting } = await database.process();
      expect(await exporting.export()).toEqual({ epoch: 2, keys: 5 });
      await vault.destroy(ANNA.owner);
      await database.admin.query(`truncate ${TABLES.map((table) => `vault.${table}`).join()}`);
      const { vault: next } = await database.process();
      expect(await answer(next, later!.id)).toBe(hex(later!.bytes));
      expect(await answer(next, keys[0]!.id)).toBe('destroyed');
    });

    test('with an export that is incomplete or missing nothing is served', async () => {
      await vault.rotate();
      await restore();
      const path = `${database.directory}/vault-export-2.ndjson`;
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.split('\n').slice(0, 3).join('\n'));
      await expect(database.process()).rejects.toMatchObject({ name: 'ExportUnusable' });
      await rename(path, `${path}.away`);
      await expect(database.process()).rejects.toThrow(KeysUnreadable);
      await expect(database.process()).rejects.toMatchObject({ keys: 4 });
      await writeFile(path, text);
      await database.process();
    });
  });

  describe('stored keys', () => {
    test('exchanged between two rows are noticed, and their neighbours are well', async () => {
      const { vault } = await database.process();
      const [anna, ben, carla] = await vault.keysFor([ANNA, BEN, CARLA]);
      await database.admin.query(
        `update vault.keys k set wrapped = o.wrapped from vault.keys o
         where (k.owner, o.owner) in (('sub_anna', 'sub_ben'), ('sub_ben', 'sub_anna'))`,
      );
      const { vault: next } = await database.process();
      const all = await Promise.allSettled([
        next.open([anna!.id]),
        next.open([ben!.id]),
        next.open([carla!.id]),
        next.keysFor([ANNA]),
        next.keysFor([CARLA]),
      ]);
      expect(all.map(({ status }) => status)).toEqual([
        'rejected',
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      await expect(next.open([anna!.id])).rejects.toMatchObject({
        name: 'KeysUnreadable',
        keys: [anna!.id],
      });
    });

    test('whose epoch has ended are unreadable, not unknown', async () => {
      const { vault } = await database.process();
      const [anna] = await vault.keysFor([ANNA]);
      await backup();
      await vault.rotate();
      await restore(['keys']);
      const { vault: next } = await database.process();
      await expect(next.open([anna!.id])).rejects.toThrow(KeysUnreadable);
      await expect(next.keysFor([ANNA])).rejects.toThrow(KeysUnreadable);
    });
  });
});
