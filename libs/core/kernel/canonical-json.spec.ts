import { describe, expect, test } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { canonicalJson, canonicalMembers, NotCanonical } from './canonical-json.js';

describe('canonical JSON', () => {
  test('has the example of RFC 8785, 3.2.2 as in 3.2.3', () => {
    const numbers = [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001];
    const string = '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/';
    expect(canonicalJson({ numbers, string, literals: [null, true, false] })).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  test('sorts names by UTF-16 code units: RFC 8785, 3.2.3', () => {
    const names = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6', '10', '9'];
    const object = Object.fromEntries(names.map((name) => [name, 0]));
    expect(Object.keys(JSON.parse(canonicalJson(object)) as object)).toHaveLength(names.length);
    const sorted = ['\r', '1', '10', '9', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'];
    expect(canonicalJson(object)).toBe(
      `{${sorted.map((name) => `${JSON.stringify(name)}:0`).join()}}`,
    );
  });

  test('is what another implementation writes, whatever the value', () => {
    const values = fc.jsonValue({ stringUnit: fc.constantFrom(...'a"\\/\n\u0000\u007f€😀\u2028') });
    fc.assert(
      fc.property(values, (value) => expect(canonicalJson(value)).toBe(canonicalize(value))),
    );
    const any = fc.jsonValue({ stringUnit: 'grapheme' });
    fc.assert(fc.property(any, (value) => expect(canonicalJson(value)).toBe(canonicalize(value))));
    const numbers = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(numbers, (number) => expect(canonicalJson(number)).toBe(canonicalize(number))),
    );
  });

  test('leaves out what is undefined, and gives the members that belong', () => {
    const object = { c: 3, b: undefined, a: { z: 1, y: [] } };
    expect(canonicalJson(object)).toBe('{"a":{"y":[],"z":1},"c":3}');
    expect(canonicalMembers(object, (name) => name > 'a')).toBe('"c":3');
    expect(canonicalMembers({}, () => true)).toBe('');
  });

  test.each<[string, unknown]>([
    ['no number', [NaN]],
    ['no number', { a: -Infinity }],
    ['half a surrogate pair', 'a\ud800'],
    ['half a surrogate pair', { '\udc00': 1 }],
  ])('has no form for what is %s', (_, value) =>
    expect(() => canonicalJson(value)).toThrow(NotCanonical),
  );

  test.each([[undefined], [10n], [Symbol('a')], [() => 1]])(
    'refuses %p, which JSON has not',
    (value) => expect(() => canonicalJson([value])).toThrow(TypeError),
  );
});
