import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { publishedFolder } from '../vectors/published.js';
import { load } from './program.js';

interface Tree {
  readonly size: number;
  readonly root: Buffer;
}
interface Merkle {
  leafHash(bytes: Uint8Array): Buffer;
  rootOf(hashes: readonly Buffer[]): Buffer;
  checkInclusion(asked: Tree & { index: number; leaf: Buffer; proof: readonly Buffer[] }): void;
  checkConsistency(asked: { before: Tree; after: Tree; proof: readonly Buffer[] }): void;
}
interface Note {
  parseVerifierKey(text: string): { name: string; id: string; key: unknown };
  openNote(bytes: Uint8Array, keys: readonly object[]): string;
  openCheckpoint(bytes: Uint8Array, trusted: object): Tree & { origin: string };
  parseTlogProof(bytes: Uint8Array): { index: number; proof: Buffer[]; checkpoint: Buffer };
}

const folder = import.meta.dirname;
const { leafHash, rootOf, checkInclusion, checkConsistency } = await load<Merkle>('merkle.mjs');
const { parseVerifierKey, openNote, openCheckpoint, parseTlogProof } = await load<Note>('note.mjs');

const hex = (text: string) => Buffer.from(text, 'hex');
const base64 = (text: string) => Buffer.from(text, 'base64');

test('the program knows nothing of what it verifies: it imports parts of Node and its own files', () => {
  const programs = readdirSync(folder).filter((name) => name.endsWith('.mjs'));
  const imported = programs.flatMap((name) =>
    [
      ...readFileSync(join(folder, name), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g),
    ].map(([, from = '']) => from),
  );
  expect(imported.length).toBeGreaterThan(programs.length);
  expect(imported.filter((from) => !/^(node:[a-z/]+|\.\/[a-z]+\.mjs)$/.test(from))).toEqual([]);
});

/** The reference tree of the certificate transparency projects: leaves in hexadecimal, and roots at some sizes. */
describe('the tree', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657'].map(hex);
  leaves.push(hex('606162636465666768696a6b6c6d6e6f'));
  const hashes = leaves.map(leafHash);

  test.each([
    [0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    [1, '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
    [2, 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
    [7, 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c'],
    [8, '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
  ])('of %i leaves', (size, root) => {
    expect(rootOf(hashes.slice(0, size)).toString('hex')).toBe(root);
  });
});

interface Inclusion {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}
interface Consistency {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

/** One good and one bad of each, for where the published ones are not at hand; the proofs are those of the reference tree. */
const OWN: { inclusion: Inclusion; consistency: Consistency } = {
  inclusion: {
    leafIdx: 0,
    treeSize: 2,
    root: '+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=',
    leafHash: 'bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=',
    proof: ['lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c='],
    wantErr: false,
  },
  consistency: {
    size1: 1,
    size2: 8,
    root1: 'bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=',
    root2: 'XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=',
    proof: [
      'lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=',
      'Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=',
      'a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=',
    ],
    wantErr: false,
  },
};

function vectors<Vector>(kind: string, own: Vector & { wantErr: boolean }, bad: object) {
  const published = publishedFolder(`merkle/${kind}`) as [string, Vector & { wantErr: boolean }][];
  return [
    ['of our own', own] as const,
    ['of our own, damaged', { ...own, ...bad, wantErr: true }] as const,
    ...published,
  ];
}

describe('proofs of inclusion', () => {
  test.each(vectors('inclusion', OWN.inclusion, { leafIdx: 1 }))('%s', (_, vector) => {
    const check = () =>
      checkInclusion({
        index: vector.leafIdx,
        size: vector.treeSize,
        root: base64(vector.root),
        leaf: base64(vector.leafHash),
        proof: (vector.proof ?? []).map(base64),
      });
    if (vector.wantErr) expect(check).toThrow();
    else check();
  });
});

describe('proofs of consistency', () => {
  test.each(vectors('consistency', OWN.consistency, { size1: 2 }))('%s', (_, vector) => {
    const check = () =>
      checkConsistency({
        before: { size: vector.size1, root: base64(vector.root1) },
        after: { size: vector.size2, root: base64(vector.root2) },
        proof: (vector.proof ?? []).map(base64),
      });
    if (vector.wantErr) expect(check).toThrow();
    else check();
  });
});

/** The example of c2sp.org/signed-note. */
describe('signed notes', () => {
  const verifierKey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
  const text = 'This is an example message.\n';
  const signature =
    '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
  const note = Buffer.from(`${text}\n${signature}`);
  const keys = [parseVerifierKey(verifierKey)];
  const opened = (all: string) => () => openNote(Buffer.from(all), keys);

  test('the example opens', () => {
    expect(openNote(note, keys)).toBe(text);
  });

  test('a signature of somebody else beside it does not matter, one of the key that does not hold does', () => {
    const stranger = signature.replace('example.com/foo', 'example.com/bar');
    expect(opened(`${text}\n${stranger}${signature}`)()).toBe(text);
    const damaged = signature.replace('Uw2QOkn8', 'Uw2QOkn9');
    expect(opened(`${text}\n${signature}${damaged}`)).toThrow(/does not hold/);
    expect(opened(`${text}\n${stranger}`)).toThrow(/no signature of a key/);
  });

  test.each([
    ['another text', `This is an example message!\n\n${signature}`],
    ['a control character', `${text}\t\n\n${signature}`],
    ['no blank line', `${text}${signature}`],
    ['no last line feed', `${text}\n${signature.trimEnd()}`],
    ['another dash', `${text}\n${signature.replace('—', '-')}`],
    ['base64 in another form', `${text}\n${signature.replace('aQM=', 'aQN=')}`],
    ['a line behind', `${text}\n${signature}more\n`],
  ])('%s is refused', (_, all) => {
    expect(opened(all)).toThrow();
  });

  test.each([
    ['another id', verifierKey.replace('530d903a', '530d903b')],
    ['another key', verifierKey.replace('AekyeR', 'AekyeS')],
    ['another algorithm', 'example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'],
    ['no name', '+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'],
  ])('a verifier key with %s is refused', (_, key) => {
    expect(() => parseVerifierKey(key)).toThrow();
  });

  test('a note that is no checkpoint is not taken for one', () => {
    const trusted = { keys, origin: 'This is an example message.' };
    expect(() => openCheckpoint(note, trusted)).toThrow(/no checkpoint/);
  });
});

/** The form is that of the example of c2sp.org/tlog-proof, whose signatures are shortened there. */
describe('proofs in a file', () => {
  const hashes = [
    'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=',
    'B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=',
  ];
  const checkpoint =
    'example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— x y\n';
  const header = 'c2sp.org/tlog-proof@v1';
  const parsed = (...lines: string[]) =>
    parseTlogProof(Buffer.from([...lines, '', checkpoint].join('\n')));

  test.each([
    ['something extra', ['extra YWdl']],
    ['nothing extra', []],
  ])('with %s', (_, extra) => {
    expect(parsed(header, ...extra, 'index 73894', ...hashes)).toEqual({
      index: 73894,
      proof: hashes.map(base64),
      checkpoint: Buffer.from(checkpoint),
    });
  });

  test.each([
    ['another header', ['c2sp.org/tlog-proof@v2', 'index 1']],
    ['no index', [header, ...hashes]],
    ['an index with leading zeroes', [header, 'index 01']],
    ['an index that is no number', [header, 'index -1']],
    ['a hash that is too short', [header, 'index 1', 'gSKyXg==']],
    ['something extra that is not base64', [header, 'extra !', 'index 1']],
    [
      'more hashes than a log can have',
      [header, 'index 1', ...Array<string>(64).fill(hashes[0] ?? '')],
    ],
  ])('%s is refused', (_, lines) => {
    expect(() => parsed(...lines)).toThrow();
  });
});
