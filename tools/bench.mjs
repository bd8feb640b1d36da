// `npm run bench`: compiles what is missing and measures, with the arguments given: `npm run bench -- --help`.
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { run } from './lib/run.mjs';
import { setUpOrExit } from './lib/setup.mjs';

await setUpOrExit({ compiled: true });

const typescript = join(root, 'test', 'support', 'typescript.mjs');
const { code } = await run(
  [
    process.execPath,
    '--import',
    typescript,
    join(root, 'bench', 'main.ts'),
    ...process.argv.slice(2),
  ],
  { capture: false },
);
process.exitCode = code;
