// Lets a child process of a spec run the sources as they are: `node --import .../typescript.mjs child.ts`.
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
