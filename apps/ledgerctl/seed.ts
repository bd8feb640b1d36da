import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createHash } from 'node:crypto';
import { idFrom } from '#core/kernel/ids.js';
import { type Api, Problem } from './api.js';
import { applyCatalogue } from './catalogue.js';
import { importFile, importLines } from './import-file.js';
import { EXIT, type Output } from './output.js';
import { erasuresIn, seededLines, seededReference } from './seed-events.js';

const example = (name: string) =>
  fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));

async function applyExamples(api: Api, out: Output): Promise<void> {
  const catalogue = JSON.parse(await readFile(example('catalogue.json'), 'utf8')) as object;
  await applyCatalogue(api, catalogue, out);
}

/** A small catalogue and some hundred people. */
export async function seedDemo(api: Api, out: Output): Promise<number> {
  await applyExamples(api, out);
  return importFile(api, example('people.ndjson'), out);
}

/** What a repetition finds of those who were erased meanwhile. */
const FORGOTTEN = new Set(['subject-erased', 'key-destroyed']);

/**
 * The example catalogue and invented people with so many events, some of whom are erased; the same for the
 * same seed. Repeating it changes nothing, so one that was broken off is simply started again.
 */
export async function seedEvents(
  api: Api,
  seed: string,
  events: number,
  out: Output,
): Promise<number> {
  await applyExamples(api, out);
  const digest = createHash('sha256').update(`seed ${seed} ${events}`).digest();
  const { byCode } = await importLines(
    api,
    {
      importId: idFrom('imp', digest, 8),
      after: (skip, reached) =>
        Readable.from(textFrom(seed, events, skip, reached), { objectMode: false }),
    },
    out,
  );
  const erasures = erasuresIn(events);
  for (let n = 0; n < erasures; n++) {
    await forget(api, seed, n);
    out.progress(`${n + 1} of ${erasures} people erased`);
  }
  return Object.keys(byCode).every((code) => FORGOTTEN.has(code)) ? EXIT.ok : EXIT.findings;
}

/** Some lines at a time: a write for each would be most of the work. */
function* textFrom(
  seed: string,
  events: number,
  skip: number,
  reached: (share: number) => void,
): Generator<string> {
  let [line, recorded, text] = [0, 0, ''];
  for (const one of seededLines(seed, events)) {
    recorded += one.events;
    if (++line <= skip) continue;
    text += one.text;
    if (text.length < 65_536) continue;
    reached(recorded / events);
    yield text;
    text = '';
  }
  reached(1);
  if (text !== '') yield text;
}

async function forget(api: Api, seed: string, n: number): Promise<void> {
  const { body } = await api.call<{ subjects: { subjectId: string }[] }>(
    'POST',
    '/v1/subjects/search',
    { externalRef: seededReference(seed, n) },
  );
  for (const { subjectId } of body.subjects)
    try {
      const ground = { ground: 'consent-withdrawn' };
      const idempotencyKey = `seed-${seed}-${n}`;
      await api.call('POST', `/v1/subjects/${subjectId}/erasure`, ground, { idempotencyKey });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 410) throw error;
    }
}
