import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import canonicalize from 'canonicalize';
import type { Recorded } from '#core/kernel/event.js';
import type { Position } from '#core/kernel/position.js';
import { Content, type Unplaced } from '#core/ledger/content.js';
import { eventCatalogue } from '#domains/slices.js';
import { draftOf, goldenCodec, RECORDED_AT, SAMPLES, STREAM } from './golden/samples.js';

/**
 * What was ever written is read for ever: one file for each version of each event type, holding the bytes as
 * the store holds them. A file is added with its version and never changed.
 */

const FOLDER = join(import.meta.dirname, 'golden');
const fileOf = (type: string, version: number) => `${type}.v${version}.json`;
const types = [...eventCatalogue].map(([type, { version }]) => ({ type, version }));
const versions = types.flatMap(({ type, version }) =>
  Array.from({ length: version }, (_, n) => ({ type, version: n + 1, file: fileOf(type, n + 1) })),
);
const codec = goldenCodec(eventCatalogue);

/** `WRITE_GOLDEN=1` writes what is missing of the present versions; it never touches a file that is there. */
if (process.env.WRITE_GOLDEN !== undefined)
  for (const { type, version } of types) {
    const path = join(FOLDER, fileOf(type, version));
    if (existsSync(path) || !(type in SAMPLES)) continue;
    const [event] = await codec.encode([draftOf(type as keyof typeof SAMPLES)]);
    if (event) writeFileSync(path, event.content.at(RECORDED_AT, 0));
  }

function bytesOf(file: string): Buffer {
  const path = join(FOLDER, file);
  if (existsSync(path)) return readFileSync(path);
  throw new Error(
    `test/golden/${file} is missing.
For a new version: add a representative event to SAMPLES in test/golden/samples.ts, then run
  WRITE_GOLDEN=1 npm run jest -- test/golden.spec.ts
and commit the new file. The file of an old version can not be written again: bring it back from the history.`,
  );
}

function decoded(bytes: Uint8Array): Recorded {
  return codec.decode({ stream: STREAM, revision: 0, position: '1' as Position, bytes });
}

test.each(versions)('$type version $version has a file', ({ file }) => {
  expect(bytesOf(file).length).toBeGreaterThan(0);
});

test('no file is of a type or version that nobody knows', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  expect(files.sort()).toEqual(versions.map(({ file }) => file).sort());
});

describe.each(versions)('$type version $version', ({ type, version, file }) => {
  test('is read', () => {
    const event = decoded(bytesOf(file));
    expect(event).toMatchObject({ type, stream: STREAM, revision: 0, recordedAt: RECORDED_AT });
    const stored = JSON.parse(bytesOf(file).toString('utf8')) as { version: number };
    expect(stored.version).toBe(version);
  });

  test('shows nothing personal', () => {
    const { data } = JSON.parse(bytesOf(file).toString('utf8')) as {
      data: Record<string, unknown>;
    };
    for (const field of Object.keys(eventCatalogue.get(type)?.sealed ?? {}))
      if (data[field] !== undefined) expect(data[field]).toEqual({ sealed: expect.any(String) });
  });

  test('is the canonical JSON of what it says, byte by byte, also as the codec writes it', () => {
    const bytes = bytesOf(file);
    const stored = JSON.parse(bytes.toString('utf8')) as Unplaced &
      Pick<Recorded, 'recordedAt' | 'revision'>;
    expect(canonicalize(stored)).toBe(bytes.toString('utf8'));
    const { recordedAt, revision, ...content } = stored;
    expect(Content.of(content).at(recordedAt, revision).equals(bytes)).toBe(true);
  });
});

describe.each(types)('$type as it is written now', ({ type, version }) => {
  const sample = draftOf(type as keyof typeof SAMPLES);

  test('has a representative event', () => {
    expect(Object.keys(SAMPLES)).toContain(type);
  });

  test('says, once opened, what was written', async () => {
    const [event] = await codec.open([decoded(bytesOf(fileOf(type, version)))]);
    expect(event).toEqual({
      ...sample,
      version,
      revision: 0,
      recordedAt: RECORDED_AT,
      position: '1',
    });
  });

  test('is written as it was, apart from the ciphertexts, which never repeat', async () => {
    const [now] = await codec.encode([sample]);
    expect(ciphersLeftOut(now?.content.at(RECORDED_AT, 0))).toBe(
      ciphersLeftOut(bytesOf(fileOf(type, version))),
    );
  });
});

function ciphersLeftOut(bytes: Buffer | undefined): string {
  return (bytes?.toString('utf8') ?? '').replaceAll(/"sealed":"[\w-]+"/g, '"sealed":""');
}
