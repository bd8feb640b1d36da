import { createHash } from 'node:crypto';
import {
  CATALOGUE,
  CHECKPOINT,
  CONSISTENCY,
  EARLIER,
  ERASURES,
  type Evidence,
  FORMAT,
  type Leaves,
  type Manifest,
  MANIFEST,
  MANIFEST_HASH,
  noticePath,
  type Part,
  partOf,
  VERIFY_PAGE,
} from '../queries/evidence.js';
import { timelineHtml } from './timeline.html.js';
import { timelinePdf } from './timeline.pdf.js';
import type { Heading, Language } from './timeline.words.js';
import { type File, zipOf } from './zip.js';

const LANGUAGES: readonly Language[] = ['de', 'en'];

/** The bundle as a zip that is written as it is read; its format is described in `domain/bundle.ts`. */
export function bundleView(evidence: Evidence, verifyPage: string): AsyncIterable<Uint8Array> {
  return zipOf(filesOf(evidence, verifyPage));
}

async function* filesOf(evidence: Evidence, verifyPage: string): AsyncGenerator<File> {
  const { checkpoint, earlier, scope, opened, createdAt, log } = evidence;
  const listed: { path: string; bytes: number; sha256: string }[] = [];
  const file = (path: string, content: Uint8Array | string): File => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    listed.push({ path, bytes: bytes.length, sha256 });
    return { path, bytes };
  };
  const { size, signedAt } = checkpoint;
  const heading: Heading = { origin: log.origin, size, signedAt, createdAt, scope, opened };
  // First what is there already: the answer begins at once, however long the first person takes.
  yield file(CHECKPOINT, checkpoint.note);
  if (earlier) {
    yield file(EARLIER, earlier.note);
    const lines = [`old ${earlier.size}`, ...earlier.hashes];
    yield file(CONSISTENCY, `${lines.join('\n')}\n\n${checkpoint.note}`);
  }
  yield file(VERIFY_PAGE, verifyPage);

  let [parts, people, events] = [0, 0, 0];
  for await (const part of evidence.parts()) {
    const folder = partOf(++parts);
    people += part.keys.length;
    events += part.events.length;
    for await (const [name, content] of partFiles(part, heading))
      yield file(`${folder}/${name}`, content);
  }
  const catalogue = await evidence.catalogue();
  for (const [name, content] of leafFiles(catalogue)) yield file(`${CATALOGUE}/${name}`, content);
  for (const [hash, text] of [...catalogue.notices].sort()) yield file(noticePath(hash), text);

  const manifest: Manifest = {
    format: FORMAT,
    createdAt,
    ...log,
    size,
    scope,
    opened,
    people,
    parts,
    events,
    files: listed,
  };
  const { path, bytes } = file(MANIFEST, `${JSON.stringify(manifest, null, 1)}\n`);
  yield { path, bytes };
  const hash = createHash('sha256').update(bytes).digest('hex');
  yield { path: MANIFEST_HASH, bytes: Buffer.from(`${hash}  ${MANIFEST}\n`) };
}

async function* partFiles(
  part: Part,
  heading: Heading,
): AsyncGenerator<readonly [string, Uint8Array | string]> {
  yield* leafFiles(part);
  if (part.opened) yield ['opened.ndjson', part.opened.map(lineOf).join('')];
  yield ['keys.json', `${JSON.stringify(part.keys, null, 1)}\n`];
  if (part.erasures.events.length > 0)
    for (const [name, content] of leafFiles(part.erasures)) yield [`${ERASURES}/${name}`, content];
  yield ['records.jsonld', `${JSON.stringify(part.records, null, 1)}\n`];
  for (const language of LANGUAGES) {
    yield [`timeline.${language}.html`, timelineHtml(language, heading, part.people)];
    yield [`timeline.${language}.pdf`, await timelinePdf(language, heading, part.people)];
  }
}

function leafFiles({
  events,
  proofs,
}: Leaves): readonly (readonly [string, Uint8Array | string])[] {
  const lines = events.flatMap((bytes) => [bytes, LINE_FEED]);
  return [
    ['events.ndjson', Buffer.concat(lines)],
    ['proofs.ndjson', proofs.map(lineOf).join('')],
  ];
}

const LINE_FEED = Buffer.from('\n');

function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
