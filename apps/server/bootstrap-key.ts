import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '#core/platform/config.js';

/**
 * The key that opens everything, for a ledger that somebody just starts: the one given, or one that is made
 * once and kept in the data directory, readable by its owner only.
 */
export async function keptKey(
  config: Config,
): Promise<{ readonly secret: string; readonly file?: string }> {
  if (config.bootstrapKey !== undefined) return { secret: config.bootstrapKey };
  const file = join(config.dataDirectory, 'keys', 'bootstrap-key');
  await mkdir(join(config.dataDirectory, 'keys'), { recursive: true, mode: 0o700 });
  try {
    // Made before it is installed: a crash between the two loses no key.
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(`clk_${randomBytes(32).toString('hex')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await chmod(file, 0o600);
  }
  return { secret: (await readFile(file, 'utf8')).trim(), file };
}
