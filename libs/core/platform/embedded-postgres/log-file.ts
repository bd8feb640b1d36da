import fs from 'node:fs';

const ROTATION_BYTES = 8 * 1024 * 1024;

/** @returns where the next line will be written */
export function rotateLog(file: string): number {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size < ROTATION_BYTES) return size;
  fs.renameSync(file, `${file}.1`);
  return 0;
}

/** At most the last 4,000 characters. */
export function readFrom(file: string, offset: number): string {
  return fs.readFileSync(file).subarray(offset).toString('utf8').slice(-4_000);
}
