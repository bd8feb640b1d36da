// `npm run test:crash`: the reliability scenarios at full length. `npm run test:crash -- NAME --rounds N --seed S`.
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { run } from './lib/run.mjs';
import { setUpOrExit } from './lib/setup.mjs';

await setUpOrExit({ compiled: true });

const { code } = await run(
  [
    process.execPath,
    '--import',
    join(root, 'test', 'support', 'typescript.mjs'),
    join(root, 'test', 'crash', 'run.ts'),
    ...process.argv.slice(2),
  ],
  { capture: false },
);
process.exitCode = code;
