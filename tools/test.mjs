// `npm test`: prepares the tree, runs Jest with the arguments given, and says what was not run and why.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { run } from './lib/run.mjs';
import { setUpOrExit } from './lib/setup.mjs';

const asked = process.argv.slice(2);

await setUpOrExit({ compiled: someSpecNeedsBuild() });

const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-report-'));
const given = asked.find((argument) => argument.startsWith('--outputFile='));
const report = given?.slice('--outputFile='.length) ?? join(folder, 'report.json');
let code = 1;
try {
  const result = await run(
    [
      process.execPath,
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
      '--json',
      ...(given === undefined ? [`--outputFile=${report}`] : []),
      ...asked,
    ],
    { capture: false },
  );
  code = result.code;
  for (const line of notRun(report)) process.stderr.write(`Not run: ${line}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = code;

/** Specs that start compiled code say so by importing the helper that leads to it. */
function someSpecNeedsBuild() {
  const tests = join(root, 'test');
  if (!existsSync(tests)) return false;
  return readdirSync(tests, { recursive: true })
    .filter((name) => name.endsWith('.spec.ts'))
    .some((name) => readFileSync(join(tests, name), 'utf8').includes('support/compiled.js'));
}

function notRun(file) {
  const lines = [];
  if (!process.env.KURRENTDB_URL) {
    lines.push(
      'the contract suite and the journeys against a KurrentDB server: KURRENTDB_URL is not set.',
    );
  }
  if (!existsSync(join(root, '..', 'shared', 'vectors'))) {
    lines.push(
      "published vectors not found beside the repository: ran the repository's own known answers only.",
    );
  }
  const browser = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(browser)) {
    lines.push(`verify.html in a browser: there is no ${browser}; CHROMIUM can name another one.`);
  }
  const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).testResults : [];
  for (const { name, assertionResults } of results) {
    const skipped = assertionResults.filter(
      ({ status }) => status === 'pending' || status === 'todo',
    );
    for (const { fullName, status } of skipped) {
      lines.push(
        `${name.slice(root.length + 1)}: ${fullName} (${status === 'todo' ? 'to do' : 'skipped'})`,
      );
    }
  }
  return lines;
}
