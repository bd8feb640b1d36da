import { describe, expect, test } from '@jest/globals';
import { createSecretKey } from 'node:crypto';
import {
  decryptAesGcm,
  encryptAesGcm,
  equalBytes,
  hkdf,
  hmac,
  unwrapKey,
  wrapKey,
} from './primitives.js';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const hex = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString('hex');
const counting = (from: number, length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => from + i));

describe('primitives: known answers', () => {
  test('AES-256-GCM: the GCM specification, test case 16', () => {
    const key = bytes('feffe9928665731c6d6a8f9467308308'.repeat(2));
    const nonce = bytes('cafebabefacedbaddecaf888');
    const aad = bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2');
    const plaintext = bytes(
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
        '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    );
    const { ciphertext, tag } = encryptAesGcm(key, nonce, plaintext, aad);
    expect(hex(ciphertext)).toBe(
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
        '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
    );
    expect(hex(tag)).toBe('76fc6ece0f4e1768cddf8853bb2d551b');
    expect(hex(decryptAesGcm(key, nonce, ciphertext, tag, aad))).toBe(hex(plaintext));
    expect(decryptAesGcm(key, nonce, ciphertext, tag, bytes('00'))).toBeUndefined();
  });

  test('HKDF-SHA256: RFC 5869, A.1', () => {
    const okm = hkdf('sha256', Buffer.alloc(22, 0x0b), counting(0, 13), counting(0xf0, 10), 42);
    expect(hex(okm)).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  test('key wrap: RFC 3394, 4.6, also with a key that prints nothing', () => {
    const key = bytes('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f');
    const wrapped =
      '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21';
    for (const wrapping of [counting(0, 32), createSecretKey(counting(0, 32))]) {
      expect(hex(wrapKey(wrapping, key))).toBe(wrapped);
      expect(hex(unwrapKey(wrapping, bytes(wrapped)))).toBe(hex(key));
    }
    expect(unwrapKey(counting(1, 32), bytes(wrapped))).toBeUndefined();
  });

  test('HMAC-SHA256: RFC 4231, test case 2, in parts', () => {
    const mac = hmac(
      'sha256',
      Buffer.from('Jefe'),
      Buffer.from('what do ya want '),
      Buffer.from('for nothing?'),
    );
    expect(hex(mac)).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  });
});

describe('primitives: sizes', () => {
  const none = Buffer.alloc(0);

  test.each([0, 16, 24, 31, 33])('a key of %i bytes is refused', (length) => {
    const key = Buffer.alloc(length);
    expect(() => encryptAesGcm(key, Buffer.alloc(12), none, none)).toThrow(RangeError);
    expect(() => decryptAesGcm(key, Buffer.alloc(12), none, Buffer.alloc(16), none)).toThrow(
      RangeError,
    );
    expect(() => wrapKey(key, Buffer.alloc(32))).toThrow(RangeError);
    expect(() => unwrapKey(key, Buffer.alloc(40))).toThrow(RangeError);
  });

  test.each([0, 8, 11, 13, 16])('a nonce of %i bytes is refused', (length) => {
    const [key, nonce] = [Buffer.alloc(32), Buffer.alloc(length)];
    expect(() => encryptAesGcm(key, nonce, none, none)).toThrow(RangeError);
    expect(() => decryptAesGcm(key, nonce, none, Buffer.alloc(16), none)).toThrow(RangeError);
  });

  test.each([0, 4, 12, 15, 17])('a tag of %i bytes is refused', (length) => {
    const tag = Buffer.alloc(length);
    expect(() => decryptAesGcm(Buffer.alloc(32), Buffer.alloc(12), none, tag, none)).toThrow(
      RangeError,
    );
  });

  test('HKDF gives at most 255 hashes', () => {
    expect(hkdf('sha256', none, none, none, 255 * 32)).toHaveLength(8_160);
    expect(hkdf('sha256', none, none, none, 0)).toHaveLength(0);
    for (const length of [255 * 32 + 1, -1, 1.5])
      expect(() => hkdf('sha256', none, none, none, length)).toThrow(RangeError);
  });

  test('bytes are equal or not, of equal length or not', () => {
    expect(equalBytes(bytes('0102'), bytes('0102'))).toBe(true);
    expect(equalBytes(bytes('0102'), bytes('0103'))).toBe(false);
    expect(equalBytes(bytes('0102'), bytes('010200'))).toBe(false);
  });
});
