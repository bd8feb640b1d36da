import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Api } from './api.js';
import { applyCatalogue } from './catalogue.js';
import { importFile } from './import-file.js';
import type { Output } from './output.js';

const example = (name: string) =>
  fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));

/** A small catalogue and some hundred people. */
export async function seedDemo(api: Api, out: Output): Promise<number> {
  const catalogue = JSON.parse(await readFile(example('catalogue.json'), 'utf8')) as object;
  await applyCatalogue(api, catalogue, out);
  return importFile(api, example('people.ndjson'), out);
}
