#!/usr/bin/env -S node --max-old-space-size=1024
// `npx ledgerctl`: the compiled command line, compiled first where it is not.
import { setUpOrExit } from './lib/setup.mjs';

await setUpOrExit({ compiled: true });
await import('../dist/apps/ledgerctl/main.js');
