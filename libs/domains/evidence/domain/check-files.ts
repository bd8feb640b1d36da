import { fromUtf8, hex } from '#core/proof/encoding.js';
import { FORMAT, type Manifest, MANIFEST, MANIFEST_HASH } from './bundle.js';
import { bytesOf, type CheckedBundle, isCount, jsonIn } from './checked-bundle.js';
import { type Finding, Flaws } from './findings.js';

/** Every file is the one that the manifest lists, and the manifest the one that was written. */
export async function checkFiles(
  bundle: CheckedBundle,
): Promise<{ manifest: Manifest | undefined; finding: Finding }> {
  const flaws = new Flaws('files');
  const bytes = await bytesOf(bundle, MANIFEST, flaws);
  const noted = await bytesOf(bundle, MANIFEST_HASH, flaws);
  const manifest = bytes && manifestIn(bytes);
  if (bytes && !manifest)
    flaws.add(`${MANIFEST} is not one of ${FORMAT}`, `${MANIFEST} hat nicht das Format ${FORMAT}`);
  if (bytes && noted) {
    const hash = hex(bundle.tools.sha256(bytes));
    if (fromUtf8(noted) !== `${hash}  ${MANIFEST}\n`)
      flaws.add(
        `${MANIFEST} has the hash ${hash}, ${MANIFEST_HASH} names another`,
        `${MANIFEST} hat den Hash ${hash}, ${MANIFEST_HASH} nennt einen anderen`,
      );
  }
  if (manifest) await checkListed(bundle, manifest, flaws);
  const count = manifest?.files.length ?? 0;
  const finding = flaws.finding(
    `Each of the ${count} files has the SHA-256 that the manifest lists.`,
    `Jede der ${count} Dateien hat den SHA-256, den das Verzeichnis nennt.`,
  );
  return { manifest, finding };
}

async function checkListed(bundle: CheckedBundle, manifest: Manifest, flaws: Flaws): Promise<void> {
  const { archive, tools, progress } = bundle;
  const expected = new Set([MANIFEST, MANIFEST_HASH]);
  for (const [done, { path, bytes: size, sha256 }] of manifest.files.entries()) {
    progress(done, manifest.files.length);
    expected.add(path);
    const bytes = await bytesOf(bundle, path, flaws);
    if (!bytes) continue;
    const hash = hex(tools.sha256(bytes));
    if (bytes.length !== size || hash !== sha256)
      flaws.add(
        `${path} was changed: its SHA-256 is ${hash}, the manifest lists ${sha256}`,
        `${path} wurde verändert: der SHA-256 ist ${hash}, das Verzeichnis nennt ${sha256}`,
      );
  }
  for (const path of archive.paths)
    if (!expected.has(path))
      flaws.add(`${path} is not in the manifest`, `${path} steht nicht im Verzeichnis`);
}

const HASH = /^[0-9a-f]{64}$/;

function manifestIn(bytes: Uint8Array): Manifest | undefined {
  const text = fromUtf8(bytes);
  const manifest = text === undefined ? undefined : (jsonIn(text) as Partial<Manifest> | undefined);
  if (typeof manifest !== 'object' || manifest?.format !== FORMAT) return undefined;
  const { origin, keys, size, scope, people, parts, events, files } = manifest;
  const counts = [size, people, parts, events].every(isCount);
  if (!counts || typeof origin !== 'string' || typeof scope !== 'object') return undefined;
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) return undefined;
  const listed = (file: Manifest['files'][number]) =>
    typeof file.path === 'string' && isCount(file.bytes) && HASH.test(file.sha256);
  return Array.isArray(files) && files.every(listed) ? (manifest as Manifest) : undefined;
}
