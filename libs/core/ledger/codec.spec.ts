import { beforeEach, describe, expect, test } from '@jest/globals';
import { catalogue, joinCatalogues } from '#core/kernel/catalogue.js';
import type { Event, Recorded } from '#core/kernel/event.js';
import { newId, streamOf, type StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { erased, type Pii } from '#core/kernel/pii.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { type KeyOwner, type KeyId, KeyDestroyed } from '#core/vault/port.js';
import { CannotDecode, CannotOpen, Codec, type Draft, LARGEST_EVENT } from './codec.js';
import { Content, type Unplaced } from './content.js';
import type { StoredEvent } from './port.js';
import { sampleEnvelope } from './contract/samples.js';

type PersonNoted = Event<
  'PersonNoted',
  {
    readonly contact: string;
    readonly name?: Pii<string>;
    readonly address?: Pii<string>;
    readonly note?: Pii<unknown>;
    readonly language: string;
  }
>;
type Plain = Event<'Plain', { readonly text: string }>;

const entries = catalogue<PersonNoted | Plain>({
  PersonNoted: {
    version: 1,
    sealed: {
      name: 'identity',
      address: ({ contact }) => `contact-${contact}`,
      note: 'evidence',
    },
    says: { en: '', de: '' },
  },
  Plain: { version: 1, says: { en: '', de: '' } },
});

const AT = '2026-03-02T12:00:00.000Z' as Instant;
const SUBJECT = newId('sub');
const STREAM = streamOf('subject', SUBJECT);

/** A vault that counts its questions. */
class CountingVault extends MemoryVault {
  asked: number[] = [];
  override keysFor(wanted: readonly KeyOwner[]) {
    this.asked.push(wanted.length);
    return super.keysFor(wanted);
  }
  override open(ids: readonly KeyId[]) {
    this.asked.push(ids.length);
    return super.open(ids);
  }
}

describe('the codec', () => {
  let vault: CountingVault;
  let codec: Codec;
  beforeEach(() => {
    vault = new CountingVault();
    codec = new Codec(joinCatalogues(entries), vault);
  });

  const draft = (data: object, from: Partial<Unplaced> = {}): Draft =>
    sampleEnvelope(STREAM, { type: 'PersonNoted', data, ...from });

  const place = (content: Content, from: Partial<StoredEvent> = {}): StoredEvent => ({
    stream: STREAM,
    revision: 0,
    position: '7' as Position,
    bytes: content.at(AT, from.revision ?? 0),
    ...from,
  });

  const recorded = async (data: object, from: Partial<Unplaced> = {}): Promise<Recorded> => {
    const [event] = await codec.encode([draft(data, from)]);
    return codec.decode(place(event?.content as Content));
  };

  const stored = (from: Partial<Unplaced>): StoredEvent =>
    place(Content.of(sampleEnvelope(STREAM, { type: 'Plain', data: { text: '' }, ...from })));

  const person = {
    contact: 'cpt',
    language: 'de',
    name: 'Ada',
    address: 'a@b.c',
    note: { x: [1, 'Ä'] },
  };

  describe('seals', () => {
    test('personal fields and leaves the others', async () => {
      const event = await recorded(person);
      expect(event.data).toEqual({
        contact: 'cpt',
        language: 'de',
        name: { sealed: expect.stringMatching(/^[A-Za-z0-9_-]{100,}$/) },
        address: { sealed: expect.any(String) },
        note: { sealed: expect.any(String) },
      });
      const [encoded] = await codec.encode([draft(person)]);
      expect(encoded?.content.at(AT, 0).toString()).not.toMatch(/Ada|a@b\.c|"x"/);
    });

    test('with one question to the vault for all events, and a key for each compartment', async () => {
      await codec.encode([draft(person), draft({ ...person, contact: 'other' }), draft(person)]);
      expect(vault.asked).toEqual([4]);
      await codec.encode([draft({ text: '' }, { type: 'Plain' })]);
      expect(vault.asked).toEqual([4]);
      await vault.destroy(SUBJECT, 'contact-cpt');
      await expect(codec.encode([draft(person)])).rejects.toBeInstanceOf(KeyDestroyed);
      const { address: _, ...rest } = person;
      expect(await codec.encode([draft(rest)])).toHaveLength(1);
    });

    test('nothing where nothing is, and keeps what was erased before', async () => {
      const { data } = await recorded({
        contact: 'c',
        language: 'de',
        name: undefined,
        note: erased,
      });
      expect(data).toEqual({ contact: 'c', language: 'de', note: { erased: true } });
    });

    test('whatever a value looks like', async () => {
      for (const note of [null, 0, false, '', [], { sealed: 'x' }, { a: { erased: true } }]) {
        const event = await recorded({ contact: 'c', language: 'de', note });
        expect(event.data).toMatchObject({ note: { sealed: expect.stringMatching(/.{100}/) } });
        const [opened] = await codec.open([event]);
        expect(opened?.data).toMatchObject({ note });
      }
    });

    test('each time anew', async () => {
      const [one, two] = [await recorded(person), await recorded(person)];
      expect(one.data).not.toEqual(two.data);
    });
  });

  describe('refuses to store', () => {
    test.each([
      ['too much', { text: 'x'.repeat(LARGEST_EVENT) }, 'event-too-large'],
      ['half a surrogate pair', { text: '\ud800' }, 'not-representable'],
      ['a number that is none', { text: NaN }, 'not-representable'],
    ])('%s', async (_, data, code) => {
      await expect(codec.encode([draft(data, { type: 'Plain' })])).rejects.toMatchObject({
        name: 'Refused',
        kind: 'invalid',
        code,
      });
    });

    test('the same in personal fields, without saying what they hold', async () => {
      for (const [note, code] of [
        ['x'.repeat(LARGEST_EVENT), 'event-too-large'],
        ['secret \udc00', 'not-representable'],
        [{ erased: true, secret: 1 }, 'reserved-form'],
      ] as const) {
        const refused = await codec
          .encode([draft({ ...person, note })])
          .catch((error: unknown) => error);
        expect(refused).toBeInstanceOf(Refused);
        expect(refused).toMatchObject({ code });
        expect(JSON.stringify(refused) + (refused as Refused).message).not.toContain('secret');
      }
    });

    test('an event of no catalogue', async () => {
      await expect(codec.encode([draft({}, { type: 'Strange' })])).rejects.toThrow(
        'event type Strange is in no catalogue',
      );
    });

    test('just what is too large', async () => {
      const lengthOf = async (size: number) => {
        const [event] = await codec.encode([draft({ text: 'x'.repeat(size) }, { type: 'Plain' })]);
        return (event?.content as Content).length;
      };
      const overhead = (await lengthOf(1_000)) - 1_000;
      expect(await lengthOf(LARGEST_EVENT - overhead)).toBe(LARGEST_EVENT);
      await expect(lengthOf(LARGEST_EVENT - overhead + 1)).rejects.toThrow('event-too-large');
    });
  });

  describe('decodes', () => {
    test('the envelope whole, with its position', async () => {
      const envelope = sampleEnvelope(STREAM, {
        type: 'Plain',
        data: { text: 'ä' },
        receivedAt: AT,
        declaredBy: { kind: 'guardian', assurance: 'signed' },
        provenance: { importId: 'imp', line: 3 },
        causationId: 'cause',
      });
      const [event] = await codec.encode([envelope]);
      const found = codec.decode(place(event?.content as Content, { revision: 4 }));
      expect(found).toEqual({ ...envelope, recordedAt: AT, revision: 4, position: '7' });
    });

    const broken: [string, () => StoredEvent, string][] = [
      ['no JSON', () => ({ ...stored({}), bytes: Buffer.from('{') }), 'is not JSON'],
      [
        'no UTF-8',
        () => ({ ...stored({}), bytes: Buffer.from([0x22, 0xff, 0x22]) }),
        'is not UTF-8',
      ],
      ['no object', () => ({ ...stored({}), bytes: Buffer.from('[]') }), 'is no object'],
      ['no id', () => stored({ id: 'evt_x' as Unplaced['id'] }), 'has no id'],
      ['no data', () => stored({ data: [] }), 'has no data'],
      ['no salt', () => stored({ salt: 1 as unknown as string }), 'has no salt'],
      ['no version', () => stored({ version: 0 }), 'has no version'],
      ['an unknown type', () => stored({ type: 'Strange' }), 'has an unknown type'],
      ['a newer version', () => stored({ version: 2 }), 'Plain has version 2, newer than 1'],
      [
        'another stream',
        () => ({ ...stored({}), stream: 'subject-x' as StreamName }),
        `says ${STREAM} 0, lies at subject-x 0`,
      ],
      [
        'another revision',
        () => ({ ...stored({}), revision: 1 }),
        `says ${STREAM} 0, lies at ${STREAM} 1`,
      ],
      [
        'a personal field in the clear',
        () => stored({ type: 'PersonNoted', data: { name: 'Ada' } }),
        'PersonNoted.name is personal and not sealed',
      ],
      [
        'a personal field beside a mark',
        () => stored({ type: 'PersonNoted', data: { name: { erased: true, was: 'Ada' } } }),
        'PersonNoted.name is personal and not sealed',
      ],
    ];
    test.each(broken)('nothing from %s', (_, event, reason) => {
      const decode = () => codec.decode(event());
      expect(decode).toThrow(CannotDecode);
      expect(decode).toThrow(`position 7: ${reason}`);
    });
  });

  describe('opens', () => {
    test('what was sealed, with one question to the vault', async () => {
      const events = [
        await recorded(person),
        await recorded(person),
        await recorded({ ...person, name: 'Bob' }),
      ];
      vault.asked = [];
      const opened = await codec.open(events);
      expect(opened.map(({ data }) => data)).toEqual([person, person, { ...person, name: 'Bob' }]);
      expect(vault.asked).toEqual([3]);
      expect(events[0]?.data).toMatchObject({ name: { sealed: expect.any(String) } });
    });

    test('as erased what was under a destroyed key, and the rest', async () => {
      const event = await recorded(person);
      await vault.destroy(SUBJECT, 'identity');
      const [opened] = await codec.open([event]);
      expect(opened?.data).toEqual({ ...person, name: { erased: true } });
      await vault.destroy(SUBJECT);
      const [gone] = await codec.open([event]);
      expect(gone?.data).toEqual({ ...person, name: erased, address: erased, note: erased });
    });

    test('never as erased what has a key that the vault never had', async () => {
      const event = await recorded(person);
      const other = new Codec(joinCatalogues(entries), new MemoryVault());
      await expect(other.open([event])).rejects.toBeInstanceOf(CannotOpen);
      await expect(other.open([event])).rejects.toThrow(
        /: name: the vault never had key [0-9a-f]{32}/,
      );
    });

    test('nothing that was moved or changed', async () => {
      const [one, two] = [await recorded(person), await recorded(person)];
      const [first, second] = [one, two].map(
        ({ data }) => data as Record<string, { sealed: string }>,
      );
      const sealed = Buffer.from(first?.name?.sealed ?? '', 'base64url');
      sealed[sealed.length - 1]! ^= 1;
      const forgeries = [
        { name: second?.name },
        { name: { sealed: sealed.toString('base64url') } },
        { name: { sealed: 'AAAA' } },
      ];
      for (const forgery of forgeries) {
        const forged = { ...one, data: { ...one.data, ...forgery } } as Recorded;
        await expect(codec.open([forged])).rejects.toBeInstanceOf(CannotOpen);
      }
      for (const envelope of [{ id: newId('evt') }, { version: 2 }, { stream: 'subject-x' }])
        await expect(codec.open([{ ...one, ...envelope } as Recorded])).rejects.toBeInstanceOf(
          CannotOpen,
        );
    });
  });

  describe('lifts old versions', () => {
    type Renamed = Event<
      'PersonNoted',
      { readonly fullName?: Pii<string>; readonly tongue: string }
    >;
    const later = (upcasts: Record<number, (data: object) => object>) =>
      new Codec(
        joinCatalogues(
          catalogue<Renamed>({
            PersonNoted: {
              version: 3,
              sealed: { fullName: 'identity' },
              upcasts,
              says: { en: '', de: '' },
            },
          }),
        ),
        vault,
      );
    type Old = { name: unknown; language: string };

    test('step by step, and opens fields under their old names', async () => {
      const [event] = await codec.encode([draft({ contact: 'c', language: 'de', name: 'Ada' })]);
      const lifted = later({
        1: (data) => ({ name: (data as Old).name, language: (data as Old).language.toUpperCase() }),
        2: (data) => ({ fullName: (data as Old).name, tongue: (data as Old).language }),
      });
      const found = lifted.decode(place(event?.content as Content));
      expect(found).toMatchObject({
        version: 1,
        data: { tongue: 'DE', fullName: { sealed: expect.any(String) } },
      });
      const [opened] = await lifted.open([found]);
      expect(opened?.data).toEqual({ tongue: 'DE', fullName: 'Ada' });
    });

    test('and says which step is missing', async () => {
      const [event] = await codec.encode([draft({ contact: 'c', language: 'de', name: 'Ada' })]);
      const lifted = later({ 1: (data) => data });
      expect(() => lifted.decode(place(event?.content as Content))).toThrow(
        'position 7: PersonNoted has no upcast from version 2',
      );
    });
  });
});
