import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the repository, wherever the command was called from. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export const modules = join(root, 'node_modules');
export const dist = join(root, 'dist');
export const cache = join(modules, '.cache', 'consent-ledger');
