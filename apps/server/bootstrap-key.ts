import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '#core/platform/config.js';

export interface KeptKey {
  readonly secret: string;
  /** Absent where the key was given. */
  readonly file?: string;
  /** Whether it was made just now. */
  readonly made: boolean;
}

/**
 * The key that opens everything, for a ledger that somebody just starts: the one given, or one that is made
 * once and kept in the data directory, readable by its owner only.
 */
export async function keptKey(config: Config): Promise<KeptKey> {
  if (config.bootstrapKey !== undefined) return { secret: config.bootstrapKey, made: false };
  const file = fileOf(config);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  let made = true;
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
    made = false;
    await chmod(file, 0o600);
  }
  return { secret: (await readFile(file, 'utf8')).trim(), file, made };
}

export async function forgetKey(config: Config): Promise<void> {
  await rm(fileOf(config), { force: true });
}

function fileOf({ dataDirectory }: Config): string {
  return join(dataDirectory, 'keys', 'bootstrap-key');
}
