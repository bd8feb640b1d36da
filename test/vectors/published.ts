import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../../shared/vectors/', import.meta.url));

/**
 * A published set of test vectors, parsed: `wycheproof/aes_gcm_test.json`. They are not part of the
 * repository but lie beside it where they are at hand; undefined where they are not.
 */
export function publishedVectors(path: string): unknown {
  const file = join(FOLDER, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** Every vector in a folder of published ones, by its path there; empty where they are not at hand. */
export function publishedFolder(path: string): [name: string, vector: unknown][] {
  const folder = join(FOLDER, path);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => [name, publishedVectors(join(path, name))]);
}
