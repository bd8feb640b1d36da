import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { sampleEvent, sampleStream } from '#core/ledger/contract/samples.js';
import type { Position } from '#core/kernel/position.js';
import { openCheckpoint } from '#core/proof/checkpoint.js';
import { hex } from '#core/proof/encoding.js';
import { verifyEd25519 } from '#core/proof/node-crypto.js';
import { parseNote, type VerifierKey } from '#core/proof/note.js';
import type { ProofTables } from '#core/proof/postgres/proof-tables.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';
import type { Sealer } from '#core/proof/sealer.js';
import { SealingRefused } from '#core/proof/refused.js';
import { ORIGIN, ProofWorld } from './world.js';

jest.setTimeout(120_000);

let world: ProofWorld;
beforeEach(async () => {
  world = await ProofWorld.open();
});
afterEach(() => world.close());

/** The code of the refusal that a round ends with. */
async function refusalOf(sealer: Sealer): Promise<string> {
  try {
    await sealer.round();
  } catch (error) {
    if (error instanceof SealingRefused) return error.code;
    throw error;
  }
  return 'signed';
}

const newest = async (): Promise<PublishedCheckpoint> =>
  (await world.tables.newest(ORIGIN)) as PublishedCheckpoint;

/** As a superuser who switches the triggers off. */
async function tamper(statement: string, values: unknown[] = []): Promise<void> {
  await world.owner.query(`set session_replication_role = replica`);
  for (const table of ['ledger.events', 'proof.checkpoints'])
    await world.owner.query(`alter table ${table} disable trigger all`);
  await world.owner.query(statement, values);
}

/** The tables, with something that happens before or after every call of one of their methods. */
function interposed(
  method: 'publish' | 'grow',
  happens: { before?: () => Promise<unknown>; after?: () => Promise<unknown> },
): ProofTables {
  return new Proxy(world.tables, {
    get(tables, name) {
      const value = Reflect.get(tables, name) as unknown;
      if (typeof value !== 'function') return value;
      const call = (value as (...args: unknown[]) => unknown).bind(tables);
      if (name !== method) return call;
      return async (...args: unknown[]) => {
        await happens.before?.();
        const result = await call(...args);
        await happens.after?.();
        return result;
      };
    },
  });
}

const flipped = (column: string, at: number) =>
  `${column} = set_byte(${column}, ${at}, 1 # get_byte(${column}, ${at}))`;

describe('sealing', () => {
  test('covers every event once, in order, as the log grows', async () => {
    const sealer = world.sealer();
    const sizes = [1, 255, 1, 300, 700];
    for (const count of sizes) {
      await world.append(count);
      await sealer.round();
    }
    const events = sizes.reduce((sum, n) => sum + n);
    expect(await world.audited()).toEqual({ events, sealed: events, checkpoints: sizes.length });
    expect((await newest()).position).toBe(String(events));
  });

  test('says nothing where there is no news', async () => {
    const sealer = world.sealer();
    await sealer.round();
    expect(await world.audited()).toEqual({ events: 0, sealed: 0, checkpoints: 0 });
    await world.append(3);
    await sealer.round();
    await sealer.round();
    expect(await world.audited()).toEqual({ events: 3, sealed: 3, checkpoints: 1 });
  });

  test('follows by itself, and another goes on where one was stopped', async () => {
    const first = world.sealer({ leaseFor: 10_000 });
    first.start();
    await world.append(10);
    while ((await world.tables.newest(ORIGIN))?.size !== 10) await new Promise(setImmediate);
    const second = world.sealer({ leaseFor: 10_000 });
    expect(await second.round()).toBe(false);
    await first.stop();
    await world.append(10);
    expect(await second.round()).toBe(true);
    expect(await world.audited()).toEqual({ events: 20, sealed: 20, checkpoints: 2 });
  });

  test('an owner that slept through its lease writes nothing', async () => {
    await world.append(5);
    const another = () => world.sealer().round();
    const sleeper = world.sealer({ tables: interposed('publish', { before: another }) });
    await expect(sleeper.round()).rejects.toThrow('no longer ours');
    expect(await world.audited()).toEqual({ events: 5, sealed: 5, checkpoints: 1 });
  });

  test('numbers leaves itself, also where positions have gaps', async () => {
    const memory = new MemoryLedger();
    const sparse = (position: Position) => String(BigInt(position) * 37n + 4n) as Position;
    const dense = (position: Position) =>
      (position === '0' ? '0' : String((BigInt(position) - 4n) / 37n)) as Position;
    const moved = (event: StoredEvent) => ({ ...event, position: sparse(event.position) });
    const sealer = world.sealer({
      store: {
        readAll: async (after, options) => {
          const page = await memory.readAll(dense(after), options);
          return { events: page.events.map(moved), scannedTo: sparse(page.scannedTo) };
        },
        at: async (position) => {
          const event = await memory.at(dense(position));
          return event && moved(event);
        },
        head: async () => {
          const head = await memory.head();
          return head && { ...head, position: sparse(head.position) };
        },
      },
    });
    for (let n = 0; n < 300; n++) {
      const stream = sampleStream();
      const events = [sampleEvent(stream)] as const;
      await memory.append({ stream, expected: { kind: 'none' }, events: [...events] });
      if (n % 100 === 0) await sealer.round();
    }
    await sealer.round();
    const positions = ['41', '78', '9624', '11104', '42', '11141'] as Position[];
    expect(Object.fromEntries(await world.tables.indexesOf(positions))).toEqual({
      41: 0,
      78: 1,
      9624: 259,
      11104: 299,
    });
    expect(await newest()).toMatchObject({ size: 300, position: '11104' });
  });

  test('proofs are given out of the tiles, and hold', async () => {
    const sealer = world.sealer();
    await world.append(999);
    await sealer.round();
    await world.append(1);
    await sealer.round();
    await world.append(77);
    await sealer.round();
    const log = new ProvenLog(world.tables, world.store, ORIGIN);
    const head = await newest();
    const { events } = await world.store.readAll('0' as Position, { limit: 2_000 });
    for (const index of [0, 255, 256, 999, 1_000, 1_076]) {
      const { bytes } = events[index] as StoredEvent;
      // It is verified on its way out.
      expect((await log.inclusion(index, bytes, head)).length).toBeGreaterThan(3);
    }
    const old = (await log.ofSize(1_000)) as PublishedCheckpoint;
    expect((await log.consistency(old, head)).length).toBeGreaterThan(3);
    expect(await log.covering('1000' as Position)).toMatchObject({ size: 1_000 });
    expect(await log.covering('1001' as Position)).toMatchObject({ size: 1_077 });
    expect(await log.covering('1078' as Position)).toBeUndefined();
    // By number, where another order would put 999 behind 1000.
    expect(await log.covering('999' as Position)).toMatchObject({ size: 999 });
    await tamper(`update proof.tiles set ${flipped('hashes', 40)} where level = 0 and index = 0`);
    const { bytes } = events[0] as StoredEvent;
    await expect(log.inclusion(0, bytes, head)).rejects.toThrow('leads to root');
  });
});

describe('a crash between any two steps', () => {
  class Crash extends Error {}

  /** The same, but for a crash before or after the call of that number, counted over all of them. */
  function crashing<T extends object>(target: T, count: { left: number; after: boolean }): T {
    return new Proxy(target, {
      get(object, name) {
        const value = Reflect.get(object, name) as unknown;
        if (typeof value !== 'function') return value;
        const method = (value as (...args: unknown[]) => unknown).bind(object);
        const steps = ['acquire', 'grow', 'publish', 'addKeys', 'add', 'forgetBefore', 'refresh'];
        if (!steps.includes(String(name))) return method;
        return async (...args: unknown[]) => {
          const crash = --count.left === 0;
          if (crash && !count.after) throw new Crash();
          const result = await method(...args);
          if (crash) throw new Crash();
          return result;
        };
      },
    });
  }

  test.each([false, true])('loses, doubles and forks nothing (after: %s)', async (after) => {
    let crashes = 0;
    for (let step = 1; step <= 40; step++) {
      await world.append(step % 3 === 0 ? 260 : 3);
      const count = { left: step % 14, after };
      const sealer = world.sealer({
        tables: crashing(world.tables, count),
        signed: crashing(world.signed, count),
        keys: crashing(world.keys, count),
      });
      try {
        await sealer.round();
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        crashes++;
      }
      if (step % 2 === 0) await world.sealer().round();
    }
    await world.sealer().round();
    const { events, sealed } = await world.audited();
    expect(sealed).toBe(events);
    expect(crashes).toBeGreaterThan(25);
  });
});

describe('refuses to sign', () => {
  beforeEach(async () => {
    await world.append(600);
    await world.sealer().round();
    await world.append(10);
  });

  /** Nothing was signed, and everybody can see why. */
  async function expectRefusal(code: string, sealer = world.sealer()): Promise<void> {
    const before = await newest();
    expect(await refusalOf(sealer)).toBe(code);
    expect(await newest()).toEqual(before);
    expect(sealer.status()).toMatchObject({ holds: false, refusal: { code } });
    expect((await world.tables.progress()).refusal).toMatchObject({ code });
  }

  test('where the database is an older copy than what was signed', async () => {
    const { note } = await newest();
    await tamper('delete from ledger.events where position > 590');
    await tamper('delete from proof.checkpoints');
    await tamper('update proof.progress set size = 0, position = 0, event_id = null');
    await tamper('delete from proof.tiles');
    await tamper('delete from proof.leaves');
    expect([...(await world.signed.all()).values()]).toEqual([note]);
    expect(await refusalOf(world.sealer())).toBe('log-shorter-than-checkpoint');
    // The older copy goes on with other events, past where the lost ones were.
    await world.append(30);
    expect(await refusalOf(world.sealer())).toBe('checkpoint-differs');
  });

  test('where the log was truncated under a running sealer, or between two', async () => {
    const sealer = world.sealer();
    await sealer.round();
    await tamper('delete from ledger.events where position > 600');
    await expectRefusal('log-shorter-than-checkpoint', sealer);
    await expectRefusal('other-log');
  });

  test('where another log took its place', async () => {
    await tamper('delete from ledger.events');
    await world.append(700);
    await expectRefusal('other-log');
  });

  test('where an interior hash was flipped', async () => {
    const sealer = world.sealer();
    await sealer.round();
    await world.append(1);
    await tamper(`update proof.tiles set ${flipped('hashes', 5)} where level = 1 and index = 0`);
    await expectRefusal('checkpoint-differs');
  });

  test('where a leaf was flipped between two looks at it', async () => {
    const after = () =>
      tamper(`update proof.tiles set ${flipped('hashes', 3105)} where level = 0 and index = 2`);
    const sealer = world.sealer({ tables: interposed('grow', { after }) });
    await expectRefusal('paths-differ', sealer);
  });

  test('where stored bytes were changed before they were signed', async () => {
    const after = () =>
      tamper(`update ledger.events set ${flipped('bytes', 30)} where position = 605`);
    const sealer = world.sealer({ tables: interposed('grow', { after }) });
    await expectRefusal('paths-differ', sealer);
  });

  test('where a tile is missing or cut', async () => {
    await tamper('delete from proof.tiles where level = 0 and index = 2');
    await expectRefusal('tiles-damaged');
  });

  test('where events that were sealed long ago were changed, once it comes by', async () => {
    await tamper(`update ledger.events set ${flipped('bytes', 30)} where position = 17`);
    const sealer = world.sealer();
    await expect(
      (async () => {
        for (;;) await sealer.round();
      })(),
    ).rejects.toMatchObject({ code: 'event-changed', reason: /^position 17 / });
  });

  test('where the key is gone', async () => {
    await rm(join(world.directory, 'signing-keys.json'));
    await expectRefusal('no-signing-key');
    expect(await readdir(world.directory)).toEqual(['checkpoints']);
  });

  test('where a checkpoint is known that our keys have not signed', async () => {
    const { note } = await newest();
    const forged = note.replace(/.{8}\n$/, 'AAAAAAA=\n');
    await rm(join(world.directory, 'checkpoints'), { recursive: true });
    await world.signed.add(600, forged);
    await expectRefusal('checkpoint-not-ours');
  });

  test('where a witness knows a later checkpoint', async () => {
    const { note } = await newest();
    await rm(join(world.directory, 'checkpoints'), { recursive: true });
    await tamper('delete from ledger.events where position > 590');
    await tamper('delete from proof.checkpoints');
    await tamper('update proof.progress set size = 0, position = 0, event_id = null');
    await tamper('delete from proof.tiles');
    await tamper('delete from proof.leaves');
    const witness = {
      name: 'test',
      newest: () => Promise.resolve(note),
      ask: () => Promise.resolve(),
      seen: () => 0,
      offer: () => undefined,
      behindSeconds: () => 0,
      stop: () => Promise.resolve(),
    };
    const sealer = world.sealer({ witnesses: [witness] });
    expect(await refusalOf(sealer)).toBe('log-shorter-than-checkpoint');
    // The same without asking the witness: this is what it is for.
    expect(await refusalOf(world.sealer())).toBe('signed');
  });

  test('beside a second signer with another database under the same key', async () => {
    const other = await ProofWorld.open(world.directory);
    try {
      await other.append(650);
      expect(await refusalOf(other.sealer({ keys: world.keys }))).toBe('checkpoint-differs');
    } finally {
      await other.store.close();
      await other.db.destroy();
      await other.owner.end();
      await other.database.drop();
    }
    expect(await refusalOf(world.sealer())).toBe('signed');
  });

  test('and goes on once what was changed is as it was', async () => {
    await tamper('delete from proof.leaves where bundle = 2');
    await expectRefusal('tiles-damaged');
    await world.tables.startOver();
    const sealer = world.sealer();
    await sealer.round();
    expect((await world.tables.progress()).refusal).toBeUndefined();
    expect(await world.audited()).toEqual({ events: 610, sealed: 610, checkpoints: 2 });
  });
});

describe('signing keys', () => {
  test('the first is made with the first checkpoint, for its owner alone', async () => {
    await world.append(1);
    await world.sealer().round();
    const file = join(world.directory, 'signing-keys.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(world.notices).toContainEqual({
      kind: 'key-made',
      verifierKey: expect.stringMatching(/^ledger\.example\/test\+[0-9a-f]{8}\+A/),
    });
    expect(await world.tables.keys(ORIGIN)).toHaveLength(1);
  });

  test('a rotation leaves checkpoints verifiable under the old key, the new one, and both', async () => {
    const opens = async (keys: readonly VerifierKey[]) =>
      'checkpoint' in
      openCheckpoint(verifyEd25519, (await newest()).note, { origin: ORIGIN, keys });
    const sealer = world.sealer();
    await world.append(1);
    await sealer.round();
    const [old] = world.keys.verifierKeys(ORIGIN) as [VerifierKey];
    const before = (await newest()).note;

    const added = await world.keys.add(ORIGIN, '2026-03-01T00:00:00.000Z' as never);
    await world.append(1);
    await sealer.round();
    expect(parseNote((await newest()).note)?.signatures).toHaveLength(2);
    expect([await opens([old]), await opens([added]), await opens([old, added])]).toEqual([
      true,
      true,
      true,
    ]);

    await world.keys.retire(ORIGIN, hex(old.id), '2026-03-02T00:00:00.000Z' as never);
    await world.append(1);
    await sealer.round();
    expect([await opens([old]), await opens([added])]).toEqual([false, true]);
    const all = { origin: ORIGIN, keys: world.keys.verifierKeys(ORIGIN) };
    expect(openCheckpoint(verifyEd25519, before, all)).toHaveProperty('checkpoint');
    expect(await readFile(join(world.directory, 'signing-keys.json'), 'utf8')).not.toMatch(
      /"seed"[^}]*retiredAt/,
    );
    await expect(world.keys.retire(ORIGIN, hex(added.id), '' as never)).rejects.toThrow('only key');
    expect(await world.audited()).toMatchObject({ sealed: 3, checkpoints: 3 });
  });

  test('a file that is damaged, or that others can read, is refused and left as it is', async () => {
    await world.append(1);
    await world.sealer().round();
    const file = join(world.directory, 'signing-keys.json');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, whole.slice(0, -10));
    await expect(world.keys.refresh()).rejects.toThrow('no whole file of keys');
    await writeFile(file, whole.replace(/"seed": ".{6}/, '"seed": "AAAAAA'));
    await expect(world.keys.refresh()).rejects.toThrow('no whole file of keys');
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    await expect(world.keys.add(ORIGIN, '' as never)).rejects.toThrow('no whole file');
    expect(
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
    ).toBe(digest);
  });
});
