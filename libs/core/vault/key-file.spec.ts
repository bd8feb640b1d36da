import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { Instant } from '#core/kernel/instant.js';
import { KeyFile } from './key-file.js';
import { EpochClosed, KeyHomeUnusable } from './key-home.js';

const AT = '2026-01-01T00:00:00.000Z' as Instant;
const LATER = '2026-02-01T00:00:00.000Z' as Instant;
const KEY = randomBytes(32);

interface Content {
  id: string;
  epochs: { n: number; key?: string }[];
  indexKey: string;
  derivationKey: string;
}

describe('the key file', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'key-file-'));
    path = join(directory, 'deep', 'keys', 'epoch-keys.json');
  });
  afterEach(() => rm(directory, { recursive: true }));

  const create = () => KeyFile.open(path, { mayCreate: true });
  const content = async () => JSON.parse(await readFile(path, 'utf8')) as Content;
  const mode = async (of: string) => ((await stat(of)).mode & 0o777).toString(8);

  test('is made on the first start, for its owner alone, and found on the second', async () => {
    const first = await create();
    expect(await mode(path)).toBe('600');
    expect(await mode(join(directory, 'deep', 'keys'))).toBe('700');
    expect(await readdir(join(directory, 'deep', 'keys'))).toEqual(['epoch-keys.json']);
    const second = await KeyFile.open(path, { mayCreate: false });
    expect(second.id).toBe(first.id);
    expect(second.epochs()).toEqual(first.epochs());
    expect(second.secret('index')).toEqual(first.secret('index'));
    expect(first.secret('index')).not.toEqual(first.secret('derivation'));
    const [wrapped] = await first.wrap(1, [KEY]);
    expect(await second.unwrap(1, [wrapped!])).toEqual([KEY]);
  });

  test('is made once by processes that start at the same time', async () => {
    const homes = await Promise.all(Array.from({ length: 20 }, create));
    expect(new Set(homes.map(({ id }) => id)).size).toBe(1);
    expect(await readdir(join(directory, 'deep', 'keys'))).toEqual(['epoch-keys.json']);
  });

  test('that is missing is said loudly where it may not be made', async () => {
    const missing = KeyFile.open(path, { mayCreate: false });
    await expect(missing).rejects.toThrow(KeyHomeUnusable);
    await expect(missing).rejects.toMatchObject({ reason: 'missing' });
    await expect(stat(path)).rejects.toThrow();
  });

  test('that is damaged is said loudly, quoting nothing of it', async () => {
    await create();
    const whole = await readFile(path, 'utf8');
    const { epochs, indexKey } = await content();
    const damaged = [
      '',
      whole.slice(0, -20),
      whole.replace('"indexKey"', '"indexKey'),
      whole.replace(indexKey, indexKey.slice(4)),
      whole.replace('consent-ledger/keys/1', 'consent-ledger/keys/2'),
      whole.replace('"n": 1', '"n": "1"'),
      whole.replace('"key"', '"key": null, "was"'),
      '[]',
      'null',
    ];
    for (const text of damaged) {
      await writeFile(path, text);
      const error = await KeyFile.open(path, { mayCreate: true }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ name: 'KeyHomeUnusable', reason: 'damaged' });
      for (const secret of [indexKey, epochs[0]!.key!])
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret.slice(0, 8));
      expect(await readFile(path, 'utf8')).toBe(text);
    }
  });

  test('that others may read is closed to them', async () => {
    await create();
    await chmod(path, 0o644);
    await KeyFile.open(path, { mayCreate: false });
    expect(await mode(path)).toBe('600');
  });

  test('leaves a directory that exists as it is', async () => {
    await mkdir(join(directory, 'deep', 'keys'), { recursive: true, mode: 0o755 });
    await create();
    expect(await mode(join(directory, 'deep', 'keys'))).toBe('755');
  });

  test('begins an epoch once and keeps the keys that never change', async () => {
    const home = await create();
    const before = await content();
    await home.begin(2, AT);
    await home.begin(2, LATER);
    const after = await content();
    expect(after.epochs[0]).toEqual(before.epochs[0]);
    expect(after.epochs.length).toBe(2);
    expect(home.epochs()[1]).toEqual({ n: 2, startedAt: AT });
    expect([after.id, after.indexKey, after.derivationKey]).toEqual([
      before.id,
      before.indexKey,
      before.derivationKey,
    ]);
    expect(await mode(path)).toBe('600');
  });

  test('a closed epoch is remembered and its key is nowhere', async () => {
    const home = await create();
    const other = await KeyFile.open(path, { mayCreate: false });
    const [wrapped] = await home.wrap(1, [KEY]);
    const { key } = (await content()).epochs[0]!;
    // What a crash while creating could have left: the same file under another name.
    await writeFile(`${path}.0123456789ab.unfinished`, await readFile(path));
    const leftover = await open(`${path}.0123456789ab.unfinished`, 'r');
    await home.begin(2, AT);
    await home.closeBefore(2, LATER);
    expect(home.epochs()).toEqual([
      { n: 1, startedAt: expect.any(String), closedAt: LATER },
      { n: 2, startedAt: AT },
    ]);
    await expect(home.unwrap(1, [wrapped!])).rejects.toThrow(EpochClosed);
    expect(await readdir(join(directory, 'deep', 'keys'))).toEqual(['epoch-keys.json']);
    expect(await readFile(path, 'utf8')).not.toContain(key);
    expect((await leftover.readFile()).every((byte) => byte === 0)).toBe(true);
    await leftover.close();
    // Another process has the old key in memory until it looks again, and looks when it meets a new epoch.
    await other.wrap(2, [KEY]);
    await expect(other.unwrap(1, [wrapped!])).rejects.toThrow(EpochClosed);
    await home.closeBefore(2, AT);
    expect(home.epochs()[0]).toMatchObject({ closedAt: LATER });
  });

  test('overwrites the file that held a key before it lets go of it', async () => {
    const home = await create();
    const old = await open(path, 'r');
    await home.begin(2, AT);
    expect((await old.readFile()).every((byte) => byte === 0)).toBe(true);
    await old.close();
  });

  test('tells a wrong epoch, a changed key and an unknown epoch apart', async () => {
    const home = await create();
    await home.begin(2, AT);
    const [wrapped] = await home.wrap(1, [KEY]);
    const changed = Buffer.from(wrapped!);
    changed[9]! ^= 1;
    expect(await home.unwrap(2, [wrapped!])).toEqual([undefined]);
    expect(await home.unwrap(1, [changed, wrapped!])).toEqual([undefined, KEY]);
    await expect(home.wrap(3, [KEY])).rejects.toMatchObject({ name: 'EpochClosed', epoch: 3 });
  });

  test('that was exchanged or removed under a running process is noticed', async () => {
    const home = await create();
    await rm(path);
    await expect(home.refresh()).rejects.toMatchObject({ reason: 'missing' });
    await create();
    await expect(home.begin(2, AT)).rejects.toMatchObject({ reason: 'of-another-database' });
  });

  test('prints no key', async () => {
    const home = await create();
    const { epochs, indexKey, derivationKey } = await content();
    const printed = inspect(home, { depth: 9, showHidden: true }) + JSON.stringify(home);
    for (const secret of [epochs[0]!.key!, indexKey, derivationKey]) {
      expect(printed).not.toContain(secret);
      expect(printed).not.toContain(Buffer.from(secret, 'base64').toString('hex').slice(0, 16));
    }
  });
});
