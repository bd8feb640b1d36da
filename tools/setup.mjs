// Makes the tree ready to run. `--packages-only`: without compiling; `--rebuild`: compiles in any case.
import { setUpOrExit } from './lib/setup.mjs';

await setUpOrExit({
  compiled: !process.argv.includes('--packages-only'),
  rebuild: process.argv.includes('--rebuild'),
});
