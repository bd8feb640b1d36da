import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instant } from '#core/kernel/instant.js';
import {
  newestExport,
  readExport,
  removeExportsBefore,
  type StoredKey,
  writeExport,
} from './export-file.js';
import type { KeyId } from './port.js';

const HOME = 'f'.repeat(32);
const of = (epoch: number) => ({ home: HOME, epoch, at: '2026-01-01T00:00:00.000Z' as Instant });
const key = (n: number): StoredKey => ({
  owner: `sub_${n}`,
  compartment: 'identity',
  keyId: n.toString(16).padStart(32, '0') as KeyId,
  epoch: 2,
  wrapped: Buffer.alloc(56, n),
});

async function* pages(
  ...lists: readonly (readonly StoredKey[])[]
): AsyncGenerator<readonly StoredKey[]> {
  yield* lists;
}

describe('the vault export', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'export-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const path = (epoch: number) => join(directory, `vault-export-${epoch}.ndjson`);
  const read = async (epoch: number, home = HOME, size?: number) => {
    const keys: StoredKey[] = [];
    for await (const page of readExport({ epoch, path: path(epoch) }, home, size))
      keys.push(...page);
    return keys;
  };

  test('gives back what was written, also nothing', async () => {
    const keys = Array.from({ length: 25 }, (_, n) => key(n));
    expect(await writeExport(directory, of(2), pages(keys.slice(0, 10), keys.slice(10)))).toEqual({
      keys: 25,
    });
    expect(await read(2, HOME, 7)).toEqual(keys);
    expect((await stat(path(2))).mode & 0o777).toBe(0o600);
    await writeExport(directory, of(3), pages());
    expect(await read(3)).toEqual([]);
  });

  test('that is incomplete, altered or of another home gives no key at all', async () => {
    await writeExport(directory, of(2), pages([key(1), key(2)]));
    const whole = await readFile(path(2), 'utf8');
    const lines = whole.trimEnd().split('\n');
    await expect(read(2, 'e'.repeat(32))).rejects.toThrow(/another key home/);
    for (const broken of [
      '',
      lines.slice(0, 1).join('\n'),
      lines.slice(0, -1).join('\n'),
      [lines[0], lines[1], lines[3]].join('\n'),
      whole.replace('sub_2', 'sub_3'),
      whole.slice(0, -5),
      lines.slice(1).join('\n'),
      whole.replace('"epoch":2,"at"', '"epoch":3,"at"'),
    ]) {
      await writeFile(path(2), broken);
      await expect(read(2)).rejects.toMatchObject({ name: 'ExportUnusable' });
    }
  });

  test('replaces one of its epoch only when it is whole', async () => {
    await writeExport(directory, of(2), pages([key(1)]));
    async function* broken(): AsyncGenerator<readonly StoredKey[]> {
      yield [key(2)];
      throw new Error('the database went away');
    }
    await expect(writeExport(directory, of(2), broken())).rejects.toThrow('went away');
    expect(await read(2)).toEqual([key(1)]);
  });

  test('the newest is found by number, and older ones are removed with what was left unfinished', async () => {
    expect(await newestExport(directory)).toBeUndefined();
    for (const epoch of [9, 10, 2]) await writeExport(directory, of(epoch), pages());
    await writeFile(`${path(8)}.0a.unfinished`, 'x');
    await writeFile(`${path(11)}.0b.unfinished`, 'x');
    await writeFile(join(directory, 'vault-export-99.ndjson.bak'), 'x');
    expect(await newestExport(directory)).toMatchObject({ epoch: 10, path: path(10) });
    await removeExportsBefore(directory, 10);
    expect((await readdir(directory)).sort()).toEqual([
      'vault-export-10.ndjson',
      'vault-export-11.ndjson.0b.unfinished',
      'vault-export-99.ndjson.bak',
    ]);
  });
});
