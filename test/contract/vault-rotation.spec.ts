import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { KeyFile } from '#core/vault/key-file.js';
import { isLiving, type KeyHome, KeysUnreadable } from '#core/vault/key-home.js';
import { KeyDestroyed, type DataKey, type KeyOwner, type Vault } from '#core/vault/port.js';
import { VaultDatabase } from './vault-database.js';

// Thousands of keys, on a machine that others use as well.
jest.setTimeout(60_000);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const owners = (from: number, to: number): KeyOwner[] =>
  Array.from({ length: to - from }, (_, i) => ({
    owner: `sub_${String(from + i).padStart(6, '0')}`,
    compartment: 'identity',
  }));

async function keysOf(vault: Vault, wanted: readonly KeyOwner[]): Promise<Map<string, string>> {
  return new Map((await vault.keysFor(wanted)).map(({ id, bytes }) => [id, hex(bytes)]));
}

describe('rotation in PostgreSQL', () => {
  let database: VaultDatabase;
  beforeEach(async () => {
    database = await VaultDatabase.make();
  });
  afterEach(() => database.end());

  const allReadable = async (keys: ReadonlyMap<string, string>): Promise<void> => {
    const { vault } = await database.process();
    const opened = await vault.open([...keys.keys()] as DataKey['id'][]);
    for (const [id, bytes] of keys) {
      const key = opened.get(id as DataKey['id']);
      if (typeof key !== 'object' || hex(key.bytes) !== bytes)
        throw new Error(`${id} is ${String(key)}`);
    }
    await vault.close();
  };

  const trigger = (when: string, what: string): Promise<unknown> =>
    database.admin.query(
      `create function meddle() returns trigger language plpgsql security definer as
         $$ begin ${what}; return new; end $$;
       create trigger meddle ${when} on vault.keys for each row execute function meddle()`,
    );
  const asBefore = (): Promise<unknown> => database.admin.query('drop function meddle() cascade');
  const livingEpochs = async (): Promise<number[]> =>
    (await KeyFile.open(database.keyFile, { mayCreate: false }))
      .epochs()
      .filter(isLiving)
      .map(({ n }) => n);

  test('writes an export of every living key and ends the old epoch', async () => {
    const { vault } = await database.process();
    const keys = await keysOf(vault, owners(0, 50));
    await vault.rotate();
    expect(await livingEpochs()).toEqual([2]);
    expect(await database.count('vault.keys where epoch <> 2')).toBe(0);
    const lines = (await readFile(`${database.directory}/vault-export-2.ndjson`, 'utf8'))
      .trimEnd()
      .split('\n');
    expect(lines.length).toBe(52);
    await vault.rotate();
    expect((await readdir(database.directory)).sort()).toEqual([
      'epoch-keys.json',
      'erased-keys.log',
      'vault-export-3.ndjson',
    ]);
    await allReadable(keys);
  });

  test('killed while it re-wraps goes on where it stopped', async () => {
    const { vault } = await database.process();
    const keys = new Map<string, string>();
    for (let from = 0; from < 7_000; from += 1_000)
      for (const [id, bytes] of await keysOf(vault, owners(from, from + 1_000)))
        keys.set(id, bytes);
    // The connection dies within the third batch.
    await trigger(
      'before update',
      `if new.owner = 'sub_005000' then perform pg_terminate_backend(pg_backend_pid()); end if`,
    );
    await expect(vault.rotate()).rejects.toThrow();
    await asBefore();
    expect(await livingEpochs()).toEqual([1, 2]);
    expect(await database.count('vault.keys where epoch = 2')).toBe(4_000);
    await allReadable(keys);

    const { vault: next } = await database.process();
    const seen: number[] = [];
    const status = await next.rotate((_, total) => seen.push(total));
    expect(seen[0]).toBe(3_000);
    expect(status).toMatchObject({ epoch: 2, living: 7_000 });
    expect(await livingEpochs()).toEqual([2]);
    await allReadable(keys);
  });

  const STEPS = ['begin', 'wrap', 'unwrap', 'closeBefore'] as const;
  test.each(STEPS.flatMap((step) => [[step, 'before'] as const, [step, 'after'] as const]))(
    'killed at %s, %s it was done, ends well the next time',
    async (step, when) => {
      const { vault } = await database.process();
      const keys = await keysOf(vault, owners(0, 20));
      await vault.destroy('sub_gone');
      const failing = await database.processWith((home) => failingAt(step, when, home));
      await expect(failing.rotate()).rejects.toThrow('killed');
      await allReadable(keys);
      for (const [id, bytes] of await keysOf(vault, owners(20, 30))) keys.set(id, bytes);
      await allReadable(keys);
      const { epoch, closed } = await vault.rotate();
      expect(await livingEpochs()).toEqual([epoch]);
      expect(closed.map((end) => end.epoch)).toEqual(
        Array.from({ length: epoch - 1 }, (_, i) => i + 1),
      );
      expect(await database.count('vault.keys where epoch <> $1', [epoch])).toBe(0);
      await allReadable(keys);
    },
  );

  test('a key destroyed while a killed rotation lay about is unreadable after the next', async () => {
    const { vault } = await database.process();
    await keysOf(vault, owners(0, 20));
    await trigger('after update', `if new.owner = 'sub_000019' then raise 'killed'; end if`);
    await expect(vault.rotate()).rejects.toThrow('killed');
    await asBefore();
    const { epoch } = await vault.destroy('sub_000003');
    expect(epoch).toBe(2);
    const after = await vault.rotate();
    expect(after.closed.map((end) => end.epoch)).toContain(epoch);
  });

  test('a stored key that was altered stops it before anything is lost', async () => {
    const { vault } = await database.process();
    const keys = await keysOf(vault, owners(0, 20));
    const { wrapped } = (
      await database.rows<{ wrapped: Buffer }>(
        `update vault.keys set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)
         where owner = 'sub_000007' returning wrapped`,
      )
    )[0]!;
    await expect(vault.rotate()).rejects.toThrow(KeysUnreadable);
    expect(await livingEpochs()).toEqual([1, 2]);
    wrapped[20]! ^= 1;
    await database.admin.query(`update vault.keys set wrapped = $1 where owner = 'sub_000007'`, [
      wrapped,
    ]);
    await vault.rotate();
    await allReadable(keys);
  });

  test('canary: a row of the old epoch that appears behind it keeps the old epoch alive', async () => {
    const { vault } = await database.process();
    await keysOf(vault, owners(1, 20));
    await trigger(
      'after update',
      `insert into vault.keys (owner, compartment, key_id, epoch, wrapped)
         values ('sub_000000', 'late', gen_random_uuid(), 1, '\\x00') on conflict do nothing`,
    );
    await expect(vault.rotate()).rejects.toThrow(KeysUnreadable);
    expect(await livingEpochs()).toEqual([1, 2]);
  });

  describe('against writers that are slow between looking at the epoch and writing', () => {
    /** How many rotations had to stop, and how many keys were lost, over a few rounds. */
    async function mishaps(): Promise<number> {
      await trigger('before insert', 'perform pg_sleep(0.03)');
      const [{ vault }, { vault: writer }] = [await database.process(), await database.process()];
      let [next, stopped, rotating] = [0, 0, true];
      const write = async (): Promise<void> => {
        while (rotating) await writer.keysFor(owners(next, (next += 2)));
      };
      const rotate = async (): Promise<void> => {
        for (let round = 0; round < 6; round++) await vault.rotate().catch(() => stopped++);
        rotating = false;
      };
      await Promise.all([write(), rotate()]);
      const epochs = await livingEpochs();
      return stopped + (await database.count('vault.keys where epoch <> all($1)', [epochs]));
    }

    test('no rotation stops and no key is lost', async () => {
      expect(await mishaps()).toBe(0);
    });

    test('canary: without the epoch’s lock there are some', async () => {
      await database.admin.query(
        `create or replace function vault.lock_writing(owners text[]) returns void
           language sql as 'select'`,
      );
      expect(await mishaps()).toBeGreaterThan(0);
    });
  });

  test('several at once rotate once for all', async () => {
    const processes = await Promise.all(Array.from({ length: 3 }, () => database.process()));
    const keys = await keysOf(processes[0]!.vault, owners(0, 200));
    const all = await Promise.all(processes.map(({ vault }) => vault.rotate()));
    expect(all.map(({ epoch }) => epoch)).toEqual([2, 2, 2]);
    expect(await livingEpochs()).toEqual([2]);
    await allReadable(keys);
  });

  test('while others write, read and destroy: no key is lost, none comes back, no epoch is misnamed', async () => {
    // Every state that a row ever had, as dead rows, the log and replicas would keep it.
    await database.admin.query('create table copies (key_id uuid, epoch integer)');
    await trigger('after insert or update', 'insert into copies values (new.key_id, new.epoch)');
    const processes = await Promise.all([
      database.process({ listen: false, cacheMs: 50 }),
      database.process({ listen: false, cacheMs: 50 }),
      database.process(),
    ]);
    const [{ vault: one }, { vault: two }, { vault: rotating }] = processes;
    const keys = new Map<string, string>();
    const gone = new Set<string>();
    let next = 0;
    let rotations = 0;
    const rotate = async (): Promise<void> => {
      for (; rotations < 5; rotations++) await rotating.rotate();
    };
    const write = async (vault: Vault): Promise<void> => {
      while (rotations < 5) {
        const wanted = owners(next, (next += 20));
        for (const [id, bytes] of await keysOf(vault, wanted)) keys.set(id, bytes);
        const victim = wanted[7]!.owner;
        const { keyIds, epoch } = await vault.destroy(victim);
        for (const id of keyIds) {
          keys.delete(id);
          gone.add(`${id} ${epoch}`);
        }
        await expect(vault.keysFor([wanted[7]!])).rejects.toThrow(KeyDestroyed);
        await vault.open([...keys.keys()].slice(-30) as DataKey['id'][]);
      }
    };
    await Promise.all([rotate(), write(one), write(two)]);
    expect(keys.size).toBeGreaterThan(200);
    expect(await livingEpochs()).toEqual([6]);
    await rotating.rotate();
    await allReadable(keys);
    expect(await database.count('vault.keys where epoch <> 7')).toBe(0);
    expect(await database.count('vault.keys k join vault.destroyed_keys d using (key_id)')).toBe(0);
    expect(await database.count('vault.destroyed_keys')).toBe(gone.size);
    // The epoch that a destruction names is the last in which a copy of the key was made.
    expect(
      await database.count(
        'copies c join vault.destroyed_keys d using (key_id) where c.epoch > d.epoch',
      ),
    ).toBe(0);
  }, 60_000);

  test('an export while many keys lie in the tables stays in pages', async () => {
    const { vault } = await database.process();
    await database.admin.query(
      'insert into vault.destroyed_keys select gen_random_uuid(), $1, $1, $1, 1',
      ['x'],
    );
    for (let from = 0; from < 12_000; from += 1_000)
      await vault.keysFor(owners(from, from + 1_000));
    const seen: (readonly [number, number])[] = [];
    await vault.rotate((done, total) => seen.push([done, total]));
    expect(seen[0]).toEqual([0, 12_000]);
    expect(seen.at(-1)).toEqual([12_000, 12_000]);
    expect(seen.length).toBe(7);
    expect(seen.every(([done], i) => i === 0 || done > seen[i - 1]![0])).toBe(true);
  });
});

/** A key home whose process dies at one step, once everything is open. */
function failingAt(
  step: 'begin' | 'wrap' | 'unwrap' | 'closeBefore',
  when: 'before' | 'after',
  home: KeyHome,
): KeyHome {
  return new Proxy(home, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (name !== step) return method;
      return async (...args: unknown[]) => {
        if (when === 'after') await method(...args);
        throw new Error('killed');
      };
    },
  });
}
