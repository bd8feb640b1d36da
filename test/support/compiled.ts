import { spawnSync } from 'node:child_process';
import path from 'node:path';

const repository = path.resolve(import.meta.dirname, '..', '..');

/**
 * The folder with the compiled apps and libraries, compiled first if it is stale. For specs that start real processes
 * or look at the OpenAPI document, which only the compiler can complete. Call it in `beforeAll` with time to spare;
 * `npm test` compiles before Jest starts when a spec imports this file.
 */
export function compiled(): string {
  const setup = path.join(repository, 'tools', 'setup.mjs');
  const { status, stderr } = spawnSync(process.execPath, [setup], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`The sources do not compile:\n${stderr}`);
  return path.join(repository, 'dist');
}
