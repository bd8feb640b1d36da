import { existsSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../../../shared/vectors/', import.meta.url);

/**
 * A published set of test vectors, parsed: `wycheproof/aes_gcm_test.json`. They are not part of the
 * repository but lie beside it where they are at hand; undefined where they are not.
 */
export function publishedVectors(path: string): unknown {
  const file = new URL(path, FOLDER);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}
