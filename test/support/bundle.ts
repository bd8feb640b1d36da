import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { sha256, verifyEd25519 } from '#core/proof/node-crypto.js';
import { openArchive, type Source } from '#domains/evidence/domain/archive.js';
import { type Manifest, MANIFEST, MANIFEST_HASH } from '#domains/evidence/domain/bundle.js';
import {
  type Finding,
  type Report,
  type Tools,
  type Trusted,
  verifyBundle,
} from '#domains/evidence/domain/verify-bundle.js';
import { zipOf } from '#domains/evidence/views/zip.js';

/** Evidence bundles as somebody who holds one sees them, or who forges one. */

export const tools: Tools = {
  sha256,
  verify: verifyEd25519,
  inflate: (packed, size) => inflateRawSync(packed, { maxOutputLength: Math.max(size, 1) }),
};

export function sourceOf(zip: Uint8Array): Source {
  const read = (offset: number, length: number) =>
    Promise.resolve(zip.subarray(offset, offset + length));
  return { size: zip.length, read };
}

export function verified(zip: Uint8Array, trusted: Trusted, by: Tools = tools): Promise<Report> {
  return verifyBundle(sourceOf(zip), trusted, by);
}

export function verdictsOf({ findings }: Report): Record<string, string> {
  return Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict]));
}

export function failing({ findings }: Report): readonly Finding[] {
  return findings.filter(({ verdict }) => verdict === 'fails');
}

export type Files = ReadonlyMap<string, Uint8Array>;

export async function filesIn(zip: Uint8Array): Promise<Map<string, Uint8Array>> {
  const archive = await openArchive(sourceOf(zip), tools.inflate);
  const files = new Map<string, Uint8Array>();
  for (const path of archive.paths) files.set(path, await archive.read(path));
  return files;
}

export async function zipped(files: Files): Promise<Uint8Array> {
  async function* all() {
    for (const [path, bytes] of files) yield await Promise.resolve({ path, bytes });
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of zipOf(all())) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The bundle with one byte of a file changed; where it is a letter, it becomes another one. */
export async function changed(zip: Uint8Array, path: string): Promise<Uint8Array> {
  const files = await filesIn(zip);
  const bytes = Uint8Array.from(files.get(path) as Uint8Array);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] as number) ^ 0x01;
  return zipped(files.set(path, bytes));
}

/** As a forger does who knows the format: manifest and its hash are made to fit the files. */
export async function forged(
  zip: Uint8Array,
  forge: (files: Map<string, Uint8Array>, manifest: Manifest) => object | void,
): Promise<Uint8Array> {
  const files = await filesIn(zip);
  const manifest = JSON.parse(textOf(files, MANIFEST)) as Manifest;
  const more = forge(files, manifest) ?? {};
  const listed = [...files]
    .filter(([path]) => path !== MANIFEST && path !== MANIFEST_HASH)
    .map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: hexOf(bytes) }));
  const bytes = Buffer.from(JSON.stringify({ ...manifest, ...more, files: listed }));
  files.set(MANIFEST, bytes).set(MANIFEST_HASH, Buffer.from(`${hexOf(bytes)}  ${MANIFEST}\n`));
  return zipped(files);
}

export function textOf(files: Files, path: string): string {
  const bytes = files.get(path);
  if (!bytes) throw new Error(`the bundle has no ${path}: ${[...files.keys()].join(' ')}`);
  return Buffer.from(bytes).toString('utf8');
}

export function linesOf<Line>(files: Files, path: string): Line[] {
  return textOf(files, path)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

function hexOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
