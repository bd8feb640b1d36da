import { describe, expect, test } from '@jest/globals';
import { isId } from '#core/kernel/ids.js';
import { derivationUnder, derivedId } from './derivation.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => 0x20 + i));

describe('derivation', () => {
  const derivation = derivationUnder(KEY);

  test('known answer, computed with another HKDF', () => {
    expect(hex(derivation.digest('receipt', 'key_1', 'POST', '/v1/subjects', 'abc'))).toBe(
      'd52eab8780d522e04f68c126e7094971a745bf7fd1bdf6de7871147888e595a7',
    );
  });

  test('the same parts give the same digest, other parts, uses and keys another', () => {
    const other = derivationUnder(Buffer.alloc(32, 1));
    const digests = [
      derivation.digest('a', 'b', 'c'),
      derivation.digest('a', 'bc'),
      derivation.digest('a', 'bc', ''),
      derivation.digest('a', 'c', 'b'),
      derivation.digest('a'),
      derivation.digest('ab', 'c'),
      other.digest('a', 'b', 'c'),
    ].map(hex);
    expect(new Set(digests).size).toBe(digests.length);
    expect(hex(derivationUnder(KEY).digest('a', 'b', 'c'))).toBe(digests[0]);
    for (const digest of digests) expect(digest).toHaveLength(64);
  });

  test('text that is not well-formed is refused rather than changed', () => {
    expect(() => derivation.digest('a', '\ud800')).toThrow(RangeError);
  });

  test('a derived id is a UUID of version 8 under its prefix', () => {
    const id = derivedId(derivation, 'rcp', 'receipt', 'key_1', 'POST', '/v1/subjects', 'abc');
    expect(id).toBe('rcp_d52eab87-80d5-82e0-8f68-c126e7094971');
    expect(isId('rcp', id)).toBe(true);
    expect(derivedId(derivation, 'sub', 'subject', 'abc')).toMatch(/^sub_.{14}8/);
  });
});
