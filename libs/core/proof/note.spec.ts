import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { checkpointText, openCheckpoint, parseCheckpoint } from './checkpoint.js';
import { base64, fromBase64, utf8 } from './encoding.js';
import { emptyRoot } from './merkle.js';
import { publicKeyOfSeed, sha256, signEd25519, verifyEd25519 } from './node-crypto.js';
import {
  formatNote,
  formatVerifierKey,
  openNote,
  parseNote,
  parseVerifierKey,
  type VerifierKey,
  verifierKey,
} from './note.js';

/** The example of c2sp.org/signed-note. */
const PUBLISHED_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const PUBLISHED_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`;

interface Signer extends VerifierKey {
  readonly seed: Uint8Array;
}

function signer(name: string): Signer {
  const seed = randomBytes(32);
  return { seed, ...verifierKey(sha256, name, publicKeyOfSeed(seed)) };
}

function signed(text: string, signers: readonly Signer[]): string {
  const signatures = signers.map(({ name, id, seed }) => ({
    name,
    id,
    bytes: signEd25519(seed, utf8(text)),
  }));
  return formatNote({ text, signatures });
}

const [ours, other, unknown] = ['example.com/log', 'witness', 'stranger'].map(signer) as [
  Signer,
  Signer,
  Signer,
];

describe('the published example', () => {
  const key = parseVerifierKey(sha256, PUBLISHED_KEY) as VerifierKey;

  test('its key is read and written', () => {
    expect(key.name).toBe('example.com/foo');
    expect(formatVerifierKey(key)).toBe(PUBLISHED_KEY);
    expect(verifierKey(sha256, key.name, key.publicKey)).toEqual(key);
  });

  test('its note opens, and is written as it was', () => {
    expect(openNote(verifyEd25519, PUBLISHED_NOTE, [key])).toEqual({
      text: 'This is an example message.\n',
      signedBy: [key],
    });
    expect(formatNote(parseNote(PUBLISHED_NOTE) as never)).toBe(PUBLISHED_NOTE);
  });

  test('another message does not', () => {
    const changed = PUBLISHED_NOTE.replace('example', 'Example');
    expect(openNote(verifyEd25519, changed, [key])).toHaveProperty('flaw');
  });
});

describe('a note', () => {
  test('opens for whoever trusts one of its keys, whatever else has signed', () => {
    const note = signed('text\n\nwith a blank line\n', [unknown, ours, other]);
    expect(openNote(verifyEd25519, note, [ours])).toMatchObject({
      text: 'text\n\nwith a blank line\n',
      signedBy: [ours],
    });
    expect(openNote(verifyEd25519, note, [other, ours])).toMatchObject({ signedBy: [ours, other] });
  });

  test('is refused where no known key has signed', () => {
    expect(openNote(verifyEd25519, signed('text\n', [unknown]), [ours])).toEqual({
      flaw: 'no known key has signed it',
    });
    expect(openNote(verifyEd25519, signed('text\n', [ours]), [])).toHaveProperty('flaw');
  });

  test('is refused where a known key has a bad signature, also beside a good one', () => {
    const [good, bad] = [signed('text\n', [other]), signed('forged\n', [ours])];
    const both = good + bad.slice(bad.indexOf('—'));
    expect(openNote(verifyEd25519, both, [other])).toHaveProperty('text');
    const opened = openNote(verifyEd25519, both, [other, ours]);
    expect(opened).toHaveProperty('flaw', expect.stringContaining('example.com/log'));
  });

  test('a key that shares only its name or only its id with a known one is unknown', () => {
    const sameName = signer(ours.name);
    expect(openNote(verifyEd25519, signed('text\n', [sameName, ours]), [ours])).toMatchObject({
      signedBy: [ours],
    });
    const sameId = { ...unknown, id: ours.id };
    expect(openNote(verifyEd25519, signed('text\n', [sameId, ours]), [ours])).toMatchObject({
      signedBy: [ours],
    });
  });

  test('takes at least sixteen signatures', () => {
    const many = Array.from({ length: 16 }, (_, at) => signer(`witness-${at}`));
    const opened = openNote(verifyEd25519, signed('text\n', many), many);
    expect(opened).toMatchObject({ signedBy: { length: 16 } });
  });

  test.each([
    ['without a blank line', 'text\n— a AAAAAAAA\n'],
    ['without signatures', 'text\n\n'],
    ['with a tab', signed('te\txt\n', [ours])],
    ['with a carriage return', signed('text\n', [ours]).replaceAll('\n', '\r\n')],
    ['without its last newline', signed('text\n', [ours]).slice(0, -1)],
    ['with a hyphen for the dash', signed('text\n', [ours]).replace('—', '-')],
    ['with half a character', signed('text\n', [ours]).replace('text', '\ud800')],
    ['with a second spelling of a signature', signed('text\n', [ours]).replace(/=?=?\n$/, '\n\n')],
  ])('is none %s', (_, note) => {
    expect(parseNote(note)).toBeUndefined();
  });

  test('changed anywhere, is refused or says the same', () => {
    const note = signed('text\nmore\n', [ours, other]);
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.string({ unit: 'binary' }), (at, put) => {
        const changed = note.slice(0, at) + put + note.slice(at + 1);
        const opened = openNote(verifyEd25519, changed, [ours, other]);
        if ('text' in opened) expect(opened.text).toBe('text\nmore\n');
      }),
    );
  });
});

describe('a verifier key', () => {
  const written = formatVerifierKey(ours);

  test('is refused where its id is not that of its name and key', () => {
    expect(parseVerifierKey(sha256, written)).toMatchObject({ name: ours.name });
    expect(parseVerifierKey(sha256, written.replace('example', 'elsewhere'))).toBeUndefined();
  });

  test.each(['', 'a', 'a+b', 'a+00000000+AA==', `a b+${written.slice(16)}`, ` ${written}`])(
    '%j is none',
    (text) => {
      expect(parseVerifierKey(sha256, text)).toBeUndefined();
    },
  );

  test.each(['', 'a b', 'a+b', 'a\u00a0b', 'a\nb'])('has no name like %j', (name) => {
    expect(() => verifierKey(sha256, name, ours.publicKey)).toThrow(RangeError);
  });
});

describe('a checkpoint', () => {
  const checkpoint = { origin: 'example.com/log', size: 109_482, root: emptyRoot(sha256) };
  const trusted = { origin: 'example.com/log', keys: [ours] };

  test('is three lines, read and written', () => {
    const text = checkpointText(checkpoint);
    expect(text).toBe('example.com/log\n109482\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n');
    expect(parseCheckpoint(text)).toEqual(checkpoint);
    expect(parseCheckpoint(`${text}extension\n`)).toEqual(checkpoint);
  });

  test.each([
    'example.com/log\n109482\n',
    'example.com/log\n0109482\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n',
    'example.com/log\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n',
    'example.com/log\n1\n47DEQpj8HBSa\n',
    'example.com/log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n',
    '\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n',
    'example.com/log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    'example.com/log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n',
  ])('%j is none', (text) => {
    expect(parseCheckpoint(text)).toBeUndefined();
  });

  test('opens for its origin and its key, and for no other', () => {
    const note = signed(checkpointText(checkpoint), [ours]);
    const opened = openCheckpoint(verifyEd25519, note, trusted);
    expect(opened).toEqual({ checkpoint, signedBy: [ours] });
    for (const wrong of [
      { ...trusted, origin: 'example.com/other' },
      { ...trusted, keys: [other] },
      { ...trusted, keys: [] },
    ])
      expect(openCheckpoint(verifyEd25519, note, wrong)).toHaveProperty('flaw');
    const noCheckpoint = signed('example.com/log\n', [ours]);
    expect(openCheckpoint(verifyEd25519, noCheckpoint, trusted)).toHaveProperty('flaw');
  });
});

test('base64 has one spelling for each value', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      expect(fromBase64(base64(bytes))).toEqual(bytes);
    }),
  );
  for (const text of ['A', 'AA', 'AB==', 'AAA', ' AAA=', 'AA==\n', 'A-_=', '=', 'AAAA='])
    expect(fromBase64(text)).toBeUndefined();
});
