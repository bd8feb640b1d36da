// `npm run check`: format, lint, types, boundaries, the OpenAPI document and the unit tests. All are run, whatever fails.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { say, seconds } from './lib/report.mjs';
import { run } from './lib/run.mjs';
import { setUpOrExit } from './lib/setup.mjs';

const STEPS = [
  'format:check',
  'lint',
  'types',
  'boundaries',
  'openapi:check',
  'verify-page:check',
  'unit',
];

await setUpOrExit({ compiled: false });

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const failed = [];
for (const step of STEPS) {
  if (scripts[step] === undefined) {
    say(`FAILED   ${step}: package.json has no such script`);
    failed.push(step);
    continue;
  }
  const began = Date.now();
  const { code, output } = await run(['npm', 'run', '--silent', step]);
  say(`${code === 0 ? 'ok      ' : 'FAILED  '} ${step} (${seconds(began)})`);
  if (code !== 0) {
    failed.push(step);
    say(output.trimEnd());
  }
}
if (failed.length > 0) say(`Check failed: ${failed.join(', ')}.`);
process.exitCode = failed.length === 0 ? 0 : 1;
