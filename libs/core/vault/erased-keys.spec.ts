import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instant } from '#core/kernel/instant.js';
import { type ErasedKey, ErasedKeys, RegistryDamaged, RegistryMissing } from './erased-keys.js';
import type { KeyId } from './port.js';

const key = (n: number): ErasedKey => ({
  keyId: n.toString(16).padStart(32, '0') as KeyId,
  owner: `sub_${n}`,
  compartment: 'identity',
  closed: n % 2 ? 'owner' : 'compartment',
  epoch: 1,
  at: '2026-01-01T00:00:00.000Z' as Instant,
});

async function* nothing(): AsyncGenerator<readonly ErasedKey[]> {}

describe('the registry of erased keys', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'erased-'));
    path = join(directory, 'erased-keys.log');
  });
  afterEach(() => rm(directory, { recursive: true }));

  const open = async () => (await ErasedKeys.open(path, nothing())).registry;
  const all = async (registry: ErasedKeys, size?: number) => {
    const keys: ErasedKey[] = [];
    for await (const page of registry.pages(size)) keys.push(...page);
    return keys;
  };

  test('keeps what was appended, in order, one JSON line a key', async () => {
    const registry = await open();
    await registry.append([key(1), key(2)]);
    const empty: ErasedKey = { ...key(3), keyId: null, compartment: null };
    await registry.append([empty]);
    expect(await all(registry)).toEqual([key(1), key(2), empty]);
    expect(await all(await open(), 2)).toEqual([key(1), key(2), empty]);
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line);
    expect(lines.map((line) => (JSON.parse(line) as ErasedKey).owner)).toEqual([
      'sub_1',
      'sub_2',
      'sub_3',
    ]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('keeps what several append at once, whole', async () => {
    const registries = [await open(), await open(), await open()];
    await Promise.all(
      Array.from({ length: 90 }, (_, n) => registries[n % 3]!.append([key(2 * n), key(2 * n + 1)])),
    );
    const owners = (await all(registries[0]!)).map(({ owner }) => owner);
    expect(owners.length).toBe(180);
    expect(new Set(owners).size).toBe(180);
  });

  test('passes over a line that a crash tore, wherever it was torn, and goes on after it', async () => {
    const registry = await open();
    await registry.append([key(1)]);
    const before = await readFile(path, 'utf8');
    await registry.append([key(2), key(3)]);
    const block = (await readFile(path, 'utf8')).slice(before.length);
    for (let torn = 0; torn < block.length; torn++) {
      await writeFile(path, before + block.slice(0, torn));
      const survived = block.slice(0, torn).split('}').length - 1;
      const expected = [key(1), key(2), key(3)].slice(0, 1 + survived);
      const again = await open();
      expect(await all(again)).toEqual(expected);
      await again.append([key(4)]);
      expect(await all(again)).toEqual([...expected, key(4)]);
    }
  });

  test('passes over zeros that a power failure left', async () => {
    const registry = await open();
    await registry.append([key(1)]);
    await appendFile(path, Buffer.alloc(100));
    await registry.append([key(2)]);
    expect(await all(registry)).toEqual([key(1), key(2)]);
  });

  test('stops at a line that was altered, naming it', async () => {
    const registry = await open();
    await registry.append([key(1), key(2)]);
    const whole = await readFile(path, 'utf8');
    for (const altered of [
      whole.replace('sub_1', 'sub_7'),
      whole.replace('"epoch":1', '"epoch":2'),
      whole.replace('{', '['),
      whole.replace('"owner"', '"owned"'),
      whole.replace('}\n{', '}{'),
    ]) {
      await writeFile(path, altered);
      await expect(all(registry)).rejects.toThrow(RegistryDamaged);
      await expect(all(registry)).rejects.toMatchObject({ line: 2 });
    }
  });

  test('is written anew from what the database knows where it is missing, and not where it is there', async () => {
    async function* known(): AsyncGenerator<readonly ErasedKey[]> {
      yield [key(1), key(2)];
      yield [key(3)];
    }
    const { registry, rewritten } = await ErasedKeys.open(path, known());
    expect(rewritten).toBe(3);
    expect(await all(registry)).toEqual([key(1), key(2), key(3)]);
    expect((await ErasedKeys.open(path, known())).rewritten).toBe(0);
    expect((await all(registry)).length).toBe(3);
  });

  test('is written anew whole or not at all', async () => {
    async function* broken(): AsyncGenerator<readonly ErasedKey[]> {
      yield [key(1)];
      throw new Error('the database went away');
    }
    await expect(ErasedKeys.open(path, broken())).rejects.toThrow('the database went away');
    await expect(stat(path)).rejects.toThrow();
  });

  test('refuses to go on where its file was removed', async () => {
    const registry = await open();
    await rm(path);
    await expect(registry.append([key(1)])).rejects.toThrow(RegistryMissing);
    await expect(stat(path)).rejects.toThrow();
  });
});
