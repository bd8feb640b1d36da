// `npm start`: prepares the tree and becomes the server, in this process, so that signals reach it.
import { setUpOrExit } from './lib/setup.mjs';

await setUpOrExit({ compiled: true });
await import('../dist/apps/server/main.js');
