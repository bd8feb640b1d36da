import { describe, expect, test } from '@jest/globals';
import { createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import { HeldKey, newDataKey } from './data-key.js';
import type { KeyId } from './port.js';
import { hkdf } from './primitives.js';
import {
  additionalData,
  keyIdOf,
  NotAuthentic,
  seal,
  sealAs,
  type SealedPlace,
  SEALING_OVERHEAD,
  unseal,
  WrongKey,
} from './sealing.js';

interface KnownAnswer {
  readonly key: string;
  readonly keyId: KeyId;
  readonly messageId: string;
  readonly plaintext: string;
  readonly place: Omit<SealedPlace, 'keyId'>;
  readonly aad: string;
  readonly sealed: string;
}

// Computed by two other implementations (OpenSSL through Node and through Python) from the format's description.
const KNOWN = JSON.parse(
  readFileSync(new URL('./sealing.answers.json', import.meta.url), 'utf8'),
) as readonly KnownAnswer[];

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const text = (value: string): Uint8Array => Buffer.from(value);

const PLACE: SealedPlace = {
  stream: 'subject-sub_1' as StreamName,
  eventId: 'evt_1' as EventId,
  eventType: 'SubjectRegistered',
  version: 1,
  field: 'name',
  keyId: 'a'.repeat(32) as KeyId,
};

describe('sealing, version 1', () => {
  test.each(KNOWN)('known answer: $place.eventType.$place.field, "$plaintext"', (known) => {
    const key = new HeldKey(known.keyId, bytes(known.key));
    const aad = additionalData({ ...known.place, keyId: known.keyId });
    expect(Buffer.from(aad).toString('hex')).toBe(known.aad);
    const sealed = sealAs(bytes(known.messageId), key, text(known.plaintext), aad);
    expect(Buffer.from(sealed).toString('hex')).toBe(known.sealed);
    expect(Buffer.from(unseal(key, bytes(known.sealed), aad)).toString()).toBe(known.plaintext);
    expect(keyIdOf(bytes(known.sealed))).toBe(known.keyId);
  });

  test('opens what was sealed, of any length, and never seals twice alike', () => {
    const key = newDataKey();
    const aad = additionalData({ ...PLACE, keyId: key.id });
    for (const length of [0, 1, 15, 16, 17, 1_000, 70_000]) {
      const plaintext = Buffer.alloc(length, length);
      const [one, two] = [seal(key, plaintext, aad), seal(key, plaintext, aad)];
      expect(one.length).toBe(length + SEALING_OVERHEAD);
      expect(Buffer.compare(one, two)).not.toBe(0);
      expect(Buffer.compare(unseal(key, one, aad), plaintext)).toBe(0);
      expect(keyIdOf(one)).toBe(key.id);
    }
  });

  test('reads a sealed value that lies somewhere within a larger buffer', () => {
    const key = newDataKey();
    const sealed = seal(key, text('x'), text(''));
    const within = Buffer.concat([Buffer.alloc(7), sealed, Buffer.alloc(9)]).subarray(
      7,
      7 + sealed.length,
    );
    expect(keyIdOf(within)).toBe(key.id);
    expect(Buffer.from(unseal(key, within, text(''))).toString()).toBe('x');
  });

  test('a wrong key is a wrong key, never other plaintext', () => {
    const [key, other] = [newDataKey(), newDataKey()];
    const aad = additionalData({ ...PLACE, keyId: key.id });
    const sealed = seal(key, text('Anna'), aad);
    expect(() => unseal(other, sealed, aad)).toThrow(WrongKey);
    const sameId = new HeldKey(key.id, other.bytes);
    expect(() => unseal(sameId, sealed, aad)).toThrow(WrongKey);
    for (let bit = 0; bit < 256; bit++) {
      const near = Buffer.from(key.bytes);
      near[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => unseal(new HeldKey(key.id, near), sealed, aad)).toThrow(WrongKey);
    }
  });

  test('a value changed anywhere does not open', () => {
    const key = newDataKey();
    const aad = additionalData({ ...PLACE, keyId: key.id });
    const sealed = seal(key, text('Anna'), aad);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 0x01;
      // Version and suite; key id, message id and commitment; ciphertext and tag.
      const expected = at < 3 ? NotAuthentic : at < 83 ? WrongKey : NotAuthentic;
      expect(() => unseal(key, changed, aad)).toThrow(expected);
    }
    for (let length = 0; length < sealed.length; length++)
      expect(() => unseal(key, sealed.subarray(0, length), aad)).toThrow(NotAuthentic);
    expect(() => unseal(key, Buffer.concat([sealed, Buffer.alloc(1)]), aad)).toThrow(NotAuthentic);
  });

  test('a wiped key, which is all zeros, neither seals nor opens', () => {
    const key = newDataKey();
    const sealed = seal(key, text('Anna'), text(''));
    key.wipe();
    expect(() => seal(key, text('Anna'), text(''))).toThrow(RangeError);
    expect(() => unseal(key, sealed, text(''))).toThrow(RangeError);
  });

  test('errors say which key, and nothing of the value', () => {
    const key = newDataKey();
    const sealed = seal(key, text('Anna'), text('here'));
    const error = caught(() => unseal(key, sealed, text('there')));
    expect(error).toBeInstanceOf(NotAuthentic);
    expect(error).toMatchObject({ keyId: key.id });
    expect(String(error)).not.toContain(Buffer.from(key.bytes).toString('hex'));
    expect(caught(() => unseal(newDataKey(), sealed, text('here')))).toMatchObject({
      sealedUnder: key.id,
    });
  });
});

describe('a sealed value opens in its own place only', () => {
  type Unseal = typeof unseal;

  const PARTS = ['stream', 'eventId', 'eventType', 'version', 'field', 'keyId'] as const;
  const [mine, other] = [newDataKey(), newDataKey()];
  const here: SealedPlace = { ...PLACE, keyId: mine.id };
  const elsewhere = {
    stream: ['subject-sub_2', 'subject-sub_', 'subject-sub_1e', 'user-sub_1'],
    eventId: ['evt_2', 'evt_', 'evt_1S', 'vt_1'],
    eventType: ['SubjectRenamed', 'ubjectRegistered', 'SubjectRegistered1', ''],
    version: [2, 0, 11],
    field: ['note', 'nam', 'nameX', ''],
    keyId: [other.id],
  } as const;

  /** Seals here and opens elsewhere, and the other way round: gives the parts in which it could be swapped. */
  function swapsThatOpen(open: Unseal = unseal, aadOf = additionalData): readonly string[] {
    const swapped = new Set<string>();
    for (const part of PARTS)
      for (const value of elsewhere[part]) {
        const there = { ...here, [part]: value } as SealedPlace;
        for (const [from, to] of [[here, there] as const, [there, here] as const]) {
          const sealed = seal(from.keyId === mine.id ? mine : other, text('Anna'), aadOf(from));
          for (const key of [mine, other])
            if (opens(() => open(key, sealed, aadOf(to)))) swapped.add(part);
        }
      }
    return [...swapped];
  }

  function opens(open: () => Uint8Array): boolean {
    try {
      open();
      return true;
    } catch (error) {
      if (error instanceof NotAuthentic || error instanceof WrongKey) return false;
      throw error;
    }
  }

  test('no part of it can be exchanged', () => {
    expect(swapsThatOpen()).toEqual([]);
  });

  test('canary: the matrix notices a twin that opens without the additional data', () => {
    const info = Buffer.concat([Buffer.from([1, 0, 1]), text('consent-ledger/seal/message-key')]);
    const withoutAad: Unseal = (key, sealed) => {
      if (keyIdOf(sealed) !== key.id) throw new WrongKey(key.id, keyIdOf(sealed));
      const messageKey = hkdf('sha512', key.bytes, sealed.subarray(19, 51), info, 32);
      return createDecipheriv('aes-256-gcm', messageKey, Buffer.alloc(12)).update(
        sealed.subarray(83, -16),
      );
    };
    const sealed = seal(mine, text('Anna'), additionalData(here));
    expect(Buffer.from(withoutAad(mine, sealed, text(''))).toString()).toBe('Anna');
    expect(swapsThatOpen(withoutAad)).toEqual(PARTS);
  });

  test.each(PARTS)('canary: the matrix notices a twin that leaves out %s', (part) => {
    const without = (place: SealedPlace): Uint8Array =>
      additionalData({ ...place, [part]: here[part] });
    expect(swapsThatOpen(unseal, without)).toEqual([part]);
  });

  test('parts can not flow into one another', () => {
    const list = (parts: Partial<SealedPlace>): string =>
      Buffer.from(additionalData({ ...PLACE, ...parts })).toString('hex');
    expect(list({ eventType: 'ab', field: 'c' })).not.toBe(list({ eventType: 'a', field: 'bc' }));
    expect(list({ eventType: 'a', version: 11 })).not.toBe(list({ eventType: 'a1', version: 1 }));
    expect(() => list({ field: '\ud800' })).toThrow(RangeError);
  });
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
