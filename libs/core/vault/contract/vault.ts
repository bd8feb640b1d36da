import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { KeyDestroyed, type KeyId, type LookupIndex, type Vault } from '../port.js';

/** A vault, and the same vault as another process would have it. */
export interface VaultUnderTest {
  readonly vault: Vault;
  /** Over the same keys, opened now. What it caches it may keep for `cacheMs`. */
  another(): Promise<Vault>;
  readonly cacheMs: number;
  /** Ids in the registry of erased keys, as they lie on disk. */
  erased(): Promise<readonly KeyId[]>;
  end(): Promise<void>;
}

const ANNA = { owner: 'sub_anna', compartment: 'identity' };
const ANNAS_MAIL = { owner: 'sub_anna', compartment: 'cpt_1' };
const BEN = { owner: 'sub_ben', compartment: 'identity' };
const NEVER = '00000000000000000000000000000000' as KeyId;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Every MUST of `Vault`. */
export function describeVault(name: string, make: () => Promise<VaultUnderTest>): void {
  describe(`the vault ${name}`, () => {
    let under: VaultUnderTest;
    let vault: Vault;

    beforeEach(async () => {
      under = await make();
      vault = under.vault;
    });
    afterEach(() => under.end());

    const keyFor = async (keyOwner: typeof ANNA, from = vault) =>
      (await from.keysFor([keyOwner]))[0]!;
    const answer = async (id: KeyId, from = vault) => (await from.open([id])).get(id);
    const opened = async (id: KeyId, from = vault) => {
      const found = await answer(id, from);
      if (typeof found !== 'object') throw new Error(`the key is ${found}`);
      return hex(found.bytes);
    };

    describe('keysFor', () => {
      test('gives a key of 256 bit for each owner and compartment, in the order asked', async () => {
        const keys = await vault.keysFor([ANNA, BEN, ANNAS_MAIL, ANNA]);
        expect(keys.map(({ bytes }) => bytes.length)).toEqual([32, 32, 32, 32]);
        expect(keys.map(({ id }) => id)).toEqual([
          expect.stringMatching(/^[0-9a-f]{32}$/),
          keys[1]!.id,
          keys[2]!.id,
          keys[0]!.id,
        ]);
        expect(new Set(keys.map(({ bytes }) => hex(bytes))).size).toBe(3);
        expect(new Set(keys.map(({ id }) => id)).size).toBe(3);
        const again = await vault.keysFor([ANNAS_MAIL, BEN]);
        expect(again.map(({ id }) => id)).toEqual([keys[2]!.id, keys[1]!.id]);
      });

      test('gives nothing for nothing', async () => {
        expect(await vault.keysFor([])).toEqual([]);
        expect((await vault.open([])).size).toBe(0);
      });

      test('gives concurrent callers the same key, also in other processes', async () => {
        const other = await under.another();
        const both = [vault, other];
        const wanted = [ANNA, BEN, ANNAS_MAIL];
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, i) =>
            both[i % 2]!.keysFor(i % 3 ? wanted : [...wanted].reverse()),
          ),
        );
        const seen = answers.map((keys, i) =>
          (i % 3 ? keys : [...keys].reverse()).map(({ id, bytes }) => `${id} ${hex(bytes)}`),
        );
        for (const one of seen) expect(one).toEqual(seen[1]);
        await other.close();
      });

      test('is durable when it returns', async () => {
        const key = await keyFor(ANNA);
        const other = await under.another();
        expect(await opened(key.id, other)).toBe(hex(key.bytes));
        await other.close();
      });

      test('refuses, naming the owner, where the compartment was destroyed, and its neighbours only then', async () => {
        await vault.keysFor([ANNA, ANNAS_MAIL]);
        await vault.destroy(ANNAS_MAIL.owner, ANNAS_MAIL.compartment);
        await expect(vault.keysFor([BEN, ANNAS_MAIL])).rejects.toMatchObject({
          name: 'KeyDestroyed',
          keyOwner: ANNAS_MAIL,
        });
        expect((await vault.keysFor([BEN, ANNA])).length).toBe(2);
        const all = await Promise.allSettled([vault.keysFor([ANNAS_MAIL]), vault.keysFor([BEN])]);
        expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
      });

      test('refuses every compartment of a destroyed owner, those without a key included', async () => {
        await vault.keysFor([ANNA]);
        await vault.destroy(ANNA.owner);
        for (const keyOwner of [ANNA, ANNAS_MAIL])
          await expect(vault.keysFor([keyOwner])).rejects.toBeInstanceOf(KeyDestroyed);
      });

      test('refuses an owner and a compartment that were closed before they had a key', async () => {
        expect((await vault.destroy(BEN.owner)).keyIds).toEqual([]);
        expect((await vault.destroy(ANNA.owner, 'cpt_9')).keyIds).toEqual([]);
        await expect(vault.keysFor([BEN])).rejects.toBeInstanceOf(KeyDestroyed);
        await expect(
          vault.keysFor([{ owner: ANNA.owner, compartment: 'cpt_9' }]),
        ).rejects.toBeInstanceOf(KeyDestroyed);
        await keyFor(ANNA);
      });

      test('refuses what is no name, without repeating it', async () => {
        for (const owner of ['', 'anna@example.org', 'a\nb', 'x'.repeat(201)]) {
          const refused = vault.keysFor([{ owner, compartment: 'identity' }]);
          await expect(refused).rejects.toThrow(RangeError);
          await expect(refused).rejects.not.toThrow(/example/);
        }
      });

      test('gives each caller bytes of its own', async () => {
        const first = await keyFor(ANNA);
        const before = hex(first.bytes);
        first.bytes.fill(0);
        expect(hex((await keyFor(ANNA)).bytes)).toBe(before);
      });
    });

    describe('open', () => {
      test('gives the keys; destroyed and unknown are different answers', async () => {
        const [anna, ben] = await vault.keysFor([ANNA, BEN]);
        await vault.destroy(BEN.owner);
        const answers = await vault.open([anna!.id, ben!.id, NEVER, anna!.id, 'no id' as KeyId]);
        expect(answers.size).toBe(4);
        expect(answers.get(anna!.id)).toMatchObject({ id: anna!.id });
        expect(answers.get(ben!.id)).toBe('destroyed');
        expect(answers.get(NEVER)).toBe('unknown');
        expect(answers.get('no id' as KeyId)).toBe('unknown');
      });

      test('gives the same bytes as were written with', async () => {
        const key = await keyFor(ANNA);
        expect(await opened(key.id)).toBe(hex(key.bytes));
      });

      test('says destroyed at once in the process that destroyed, whatever was under way', async () => {
        for (let round = 0; round < 20; round++) {
          const keyOwner = { owner: `sub_${round}`, compartment: 'identity' };
          const { id } = await keyFor(keyOwner);
          const reads = Array.from({ length: 5 }, () => vault.open([id]));
          const destroyed = vault.destroy(keyOwner.owner);
          reads.push(...Array.from({ length: 5 }, () => vault.open([id])));
          await destroyed;
          expect(await answer(id)).toBe('destroyed');
          await Promise.all(reads);
          expect(await answer(id)).toBe('destroyed');
        }
      });

      test('says destroyed in another process once its cache has expired', async () => {
        const other = await under.another();
        const { id } = await keyFor(ANNA);
        await opened(id, other);
        await keyFor(ANNA, other);
        await vault.destroy(ANNA.owner);
        await pause(under.cacheMs + 20);
        expect(await answer(id, other)).toBe('destroyed');
        await expect(other.keysFor([ANNA])).rejects.toBeInstanceOf(KeyDestroyed);
        await other.close();
      });
    });

    describe('destroy', () => {
      test('names the keys, the moment and the epoch; a repetition answers the same', async () => {
        const [identity, mail] = await vault.keysFor([ANNA, ANNAS_MAIL]);
        await keyFor(BEN);
        const first = await vault.destroy(ANNA.owner);
        expect([...first.keyIds].sort()).toEqual([identity!.id, mail!.id].sort());
        expect(first.epoch).toBe((await vault.status()).epoch);
        expect(first.destroyedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        await pause(5);
        expect(await vault.destroy(ANNA.owner)).toEqual(first);
        const other = await under.another();
        expect(await other.destroy(ANNA.owner)).toEqual(first);
        await other.close();
        await opened((await keyFor(BEN)).id);
      });

      test('of one compartment leaves the others; of the owner then takes the rest', async () => {
        const [identity, mail] = await vault.keysFor([ANNA, ANNAS_MAIL]);
        const part = await vault.destroy(ANNAS_MAIL.owner, ANNAS_MAIL.compartment);
        expect(part.keyIds).toEqual([mail!.id]);
        expect(await answer(mail!.id)).toBe('destroyed');
        await opened(identity!.id);
        const rest = await vault.destroy(ANNA.owner);
        expect(rest.keyIds).toEqual([identity!.id]);
        expect(await vault.destroy(ANNA.owner)).toEqual(rest);
        expect(await vault.destroy(ANNAS_MAIL.owner, ANNAS_MAIL.compartment)).toEqual(part);
        expect(await vault.destroy(ANNA.owner, ANNA.compartment)).toEqual(rest);
      });

      test('has the ids in the registry of erased keys', async () => {
        const [identity, mail] = await vault.keysFor([ANNA, ANNAS_MAIL]);
        await vault.destroy(ANNAS_MAIL.owner, ANNAS_MAIL.compartment);
        expect(await under.erased()).toEqual([mail!.id]);
        await vault.destroy(ANNA.owner);
        expect(await under.erased()).toEqual([mail!.id, identity!.id]);
      });

      test('by several at once answers all the same', async () => {
        const other = await under.another();
        await vault.keysFor([ANNA, ANNAS_MAIL]);
        const all = await Promise.all(
          Array.from({ length: 8 }, (_, i) => (i % 2 ? vault : other).destroy(ANNA.owner)),
        );
        for (const one of all) expect(one).toEqual(all[0]);
        expect(all[0]!.keyIds.length).toBe(2);
        await other.close();
      });
    });

    describe('rotate', () => {
      test('begins a new epoch and keeps every living key as it is', async () => {
        const keys = await vault.keysFor([ANNA, ANNAS_MAIL, BEN]);
        await vault.destroy(ANNAS_MAIL.owner, ANNAS_MAIL.compartment);
        const before = await vault.status();
        const seen: (readonly [number, number])[] = [];
        const after = await vault.rotate((done, total) => seen.push([done, total]));
        expect(after).toMatchObject({ epoch: before.epoch + 1, living: 2, destroyed: 1 });
        expect(after.epochStartedAt >= before.epochStartedAt).toBe(true);
        expect(after.closed).toEqual([
          { epoch: before.epoch, closedAt: expect.stringMatching(/^\d{4}-/) },
        ]);
        expect(seen.at(-1)).toEqual([2, 2]);
        const other = await under.another();
        for (const from of [vault, other]) {
          expect(await opened(keys[0]!.id, from)).toBe(hex(keys[0]!.bytes));
          expect(await answer(keys[1]!.id, from)).toBe('destroyed');
          expect(await opened(keys[2]!.id, from)).toBe(hex(keys[2]!.bytes));
        }
        expect((await keyFor(ANNA, other)).id).toBe(keys[0]!.id);
        await other.close();
      });

      test('while another process writes loses no key', async () => {
        const other = await under.another();
        const made = await other.keysFor([ANNA, BEN]);
        await vault.rotate();
        const later = { owner: 'sub_later', compartment: 'identity' };
        const key = await keyFor(later, other);
        await vault.rotate();
        const third = await under.another();
        for (const { id, bytes } of [...made, key])
          expect(await opened(id, third)).toBe(hex(bytes));
        await Promise.all([other.close(), third.close()]);
      });
    });

    test('status counts', async () => {
      expect(await vault.status()).toMatchObject({ epoch: 1, living: 0, destroyed: 0, closed: [] });
      await vault.keysFor([ANNA, ANNAS_MAIL, BEN]);
      await vault.destroy(ANNA.owner);
      expect(await vault.status()).toMatchObject({ epoch: 1, living: 1, destroyed: 2 });
    });

    test('nothing that it gives prints the bytes of a key', async () => {
      const keys = await vault.keysFor([ANNA, BEN]);
      const answers = await vault.open([keys[0]!.id]);
      await vault.destroy(BEN.owner);
      const refusal = await vault.keysFor([BEN]).catch((error: unknown) => error);
      const options = { depth: 12, showHidden: true };
      const printed = [keys, answers, vault, refusal]
        .map((value) => inspect(value, options))
        .join();
      const texts = [
        printed,
        JSON.stringify([keys, [...answers], refusal]),
        String(refusal),
      ].join();
      for (const { bytes, id } of keys) {
        expect(texts).toContain(id);
        for (const form of ['hex', 'base64', 'base64url', 'latin1'] as const)
          expect(texts).not.toContain(Buffer.from(bytes).toString(form));
        expect(texts.replaceAll(/\s/g, '')).not.toContain([...bytes.subarray(0, 8)].join());
        expect(texts).not.toContain(hex(bytes).replaceAll(/(..)/g, '$1 ').slice(0, 30));
      }
    });
  });
}

/** An index, and the vault that it lives beside. */
export interface LookupIndexUnderTest {
  readonly index: LookupIndex;
  readonly vault: Vault;
  /** As another process would have it. */
  another(): Promise<LookupIndex>;
  end(): Promise<void>;
}

/** Every MUST of `LookupIndex`. */
export function describeLookupIndex(name: string, make: () => Promise<LookupIndexUnderTest>): void {
  describe(`the look-up index ${name}`, () => {
    let under: LookupIndexUnderTest;
    let index: LookupIndex;

    beforeEach(async () => {
      under = await make();
      index = under.index;
    });
    afterEach(() => under.end());

    const mail = (value: string, owner: string, reference = 'cpt_1') => ({
      kind: 'email',
      value,
      owner,
      reference,
    });

    test('finds what was added, by kind and value, also in another process', async () => {
      await index.add([mail('anna@example.org', 'sub_a'), mail('ben@example.org', 'sub_b')]);
      for (const from of [index, await under.another()]) {
        expect(await from.find('email', 'anna@example.org')).toEqual(['sub_a']);
        expect(await from.find('phone', 'anna@example.org')).toEqual([]);
        expect(await from.find('email', 'nobody@example.org')).toEqual([]);
      }
    });

    test('gives owners without doubles, by owner id', async () => {
      await index.add([
        mail('shared@example.org', 'sub_b'),
        mail('shared@example.org', 'sub_B', 'cpt_2'),
        mail('shared@example.org', 'sub_a', 'cpt_3'),
        mail('shared@example.org', 'sub_a', 'cpt_4'),
      ]);
      expect(await index.find('email', 'shared@example.org')).toEqual(['sub_B', 'sub_a', 'sub_b']);
    });

    test('kind and value are apart: no pair is mistaken for another', async () => {
      await index.add([{ kind: 'ab', value: 'c', owner: 'sub_a', reference: 'r' }]);
      expect(await index.find('a', 'bc')).toEqual([]);
    });

    test('adding what is there changes nothing, also at the same time', async () => {
      const entries = [mail('anna@example.org', 'sub_a'), mail('ben@example.org', 'sub_b')];
      await Promise.all([
        index.add(entries),
        index.add([...entries].reverse()),
        index.add(entries),
      ]);
      await index.add(entries);
      expect(await index.find('email', 'anna@example.org')).toEqual(['sub_a']);
      await index.remove('sub_a');
      expect(await index.find('email', 'anna@example.org')).toEqual([]);
    });

    test('tells what within its owner a value belongs to', async () => {
      await index.add([
        mail('both@example.org', 'sub_a', 'cpt_2'),
        mail('both@example.org', 'sub_b', 'cpt_3'),
      ]);
      const wanted = ['both@example.org', 'none@example.org'].map((value) => ({
        kind: 'email',
        value,
      }));
      expect(await index.matchMany(wanted)).toEqual([
        [
          { owner: 'sub_a', reference: 'cpt_2' },
          { owner: 'sub_b', reference: 'cpt_3' },
        ],
        [],
      ]);
    });

    test('finds many in the order asked', async () => {
      await index.add([mail('anna@example.org', 'sub_a'), mail('ben@example.org', 'sub_b')]);
      expect(
        await index.findMany([
          { kind: 'email', value: 'ben@example.org' },
          { kind: 'email', value: 'nobody@example.org' },
          { kind: 'email', value: 'anna@example.org' },
          { kind: 'email', value: 'ben@example.org' },
        ]),
      ).toEqual([['sub_b'], [], ['sub_a'], ['sub_b']]);
      expect(await index.findMany([])).toEqual([]);
    });

    test('removes one reference alone, or all of an owner', async () => {
      await index.add([
        mail('one@example.org', 'sub_a', 'cpt_1'),
        mail('two@example.org', 'sub_a', 'cpt_2'),
        mail('one@example.org', 'sub_b', 'cpt_1'),
      ]);
      await index.reserve('external', 'crm/7', 'sub_a');
      await index.remove('sub_a', 'cpt_1');
      expect(await index.find('email', 'one@example.org')).toEqual(['sub_b']);
      expect(await index.find('email', 'two@example.org')).toEqual(['sub_a']);
      expect(await index.reserve('external', 'crm/7', 'sub_c')).toBe('sub_a');
      await index.remove('sub_a');
      expect(await index.find('email', 'two@example.org')).toEqual([]);
      expect(await index.reserve('external', 'crm/7', 'sub_c')).toBe('sub_c');
      await index.remove('sub_a');
    });

    test('reserves for who came first, for good', async () => {
      expect(await index.reserve('external', 'crm/7', 'sub_a')).toBe('sub_a');
      expect(await index.reserve('external', 'crm/7', 'sub_b')).toBe('sub_a');
      expect(await index.reserve('external', 'crm/7', 'sub_a')).toBe('sub_a');
      expect(await index.reserve('other', 'crm/7', 'sub_b')).toBe('sub_b');
      expect(await index.find('external', 'crm/7')).toEqual([]);
    });

    test('gives a value reserved by many at once to one of them', async () => {
      const other = await under.another();
      const holders = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          (i % 2 ? index : other).reserve('external', 'crm/7', `sub_${i}`),
        ),
      );
      expect(new Set(holders).size).toBe(1);
    });

    test('is empty of an owner that was destroyed, and stays so', async () => {
      await index.add([mail('anna@example.org', 'sub_a'), mail('ben@example.org', 'sub_b')]);
      await index.reserve('external', 'crm/7', 'sub_a');
      await under.vault.destroy('sub_a');
      expect(await index.find('email', 'anna@example.org')).toEqual([]);
      const late = index.add([
        mail('anna@example.org', 'sub_a'),
        mail('later@example.org', 'sub_b'),
      ]);
      await expect(late).rejects.toMatchObject({
        name: 'KeyDestroyed',
        keyOwner: { owner: 'sub_a' },
      });
      expect(await index.find('email', 'anna@example.org')).toEqual([]);
      expect(await index.find('email', 'later@example.org')).toEqual(['sub_b']);
      expect(await index.reserve('external', 'crm/7', 'sub_c')).toBe('sub_c');
      expect(await index.reserve('external', 'crm/7', 'sub_a')).toBe('sub_c');
      await expect(index.reserve('external', 'crm/8', 'sub_a')).rejects.toBeInstanceOf(
        KeyDestroyed,
      );
      expect(await index.reserve('external', 'crm/8', 'sub_c')).toBe('sub_c');
    });

    test('is empty of a reference whose compartment was destroyed, and stays so', async () => {
      await index.add([
        mail('one@example.org', 'sub_a', 'cpt_1'),
        mail('two@example.org', 'sub_a', 'cpt_2'),
      ]);
      await under.vault.destroy('sub_a', 'cpt_1');
      expect(await index.find('email', 'one@example.org')).toEqual([]);
      expect(await index.find('email', 'two@example.org')).toEqual(['sub_a']);
      await expect(index.add([mail('one@example.org', 'sub_a', 'cpt_1')])).rejects.toBeInstanceOf(
        KeyDestroyed,
      );
      expect(await index.find('email', 'one@example.org')).toEqual([]);
    });

    test('an owner must be a name', async () => {
      await expect(index.add([mail('x', 'anna@example.org')])).rejects.toThrow(RangeError);
      await expect(index.add([mail('x', 'sub_a', 'not one')])).rejects.toThrow(RangeError);
      await expect(index.reserve('external', 'x', 'anna@example.org')).rejects.toThrow(RangeError);
    });
  });
}
