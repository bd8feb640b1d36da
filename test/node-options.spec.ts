import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

/**
 * What Node is told when a server or worker starts stands in package.json, and wherever else somebody starts one. They
 * are the same, or memory and speed would depend on who started it.
 */

const repository = path.resolve(import.meta.dirname, '..');
const read = (file: string) => fs.readFileSync(path.join(repository, file), 'utf8');

const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } };

/** Between `node` and the file that it runs. */
function optionsIn(text: string, runs: RegExp): string[] {
  const commands = text.matchAll(/\bnode((?: --[\w-]+(?:=\S+)?)*) "?(\S+)/g);
  return [...commands].flatMap(([, options = '', file = '']) => (runs.test(file) ? [options] : []));
}

const [list] = optionsIn(scripts.start, /tools\/start\.mjs$/);

test('npm start says what Node is told', () => {
  expect(list).toMatch(/^( --[\w-]+=\d+)+$/);
});

test.each([
  ['docker/consent-ledger', 1],
  ['docs/runbook/start-stop-upgrade.md', 2],
])('%s says the same', (file, times) => {
  const found = optionsIn(read(file), /dist\/apps\/(server|worker|\$what)\/main\.js/);
  expect(found).toEqual(Array.from({ length: times }, () => list));
});

test('an option that was forgotten is noticed', () => {
  const forgotten = 'node --max-old-space-size=1024 dist/apps/worker/main.js';
  expect(optionsIn(forgotten, /worker\/main\.js/)).not.toEqual([list]);
});
