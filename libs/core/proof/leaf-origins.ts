import type { Position } from '#core/kernel/position.js';

/** Where leaves came from, as it is kept beside their tiles: a position each, big endian. */

export const POSITION_BYTES = 8;

export function originBytes(positions: readonly Position[]): Buffer {
  const bytes = Buffer.alloc(positions.length * POSITION_BYTES);
  positions.forEach((position, at) => bytes.writeBigInt64BE(BigInt(position), at * POSITION_BYTES));
  return bytes;
}

/** The same of positions that follow each other without a gap. */
export function consecutiveOrigins(first: Position, count: number): Buffer {
  const bytes = Buffer.alloc(count * POSITION_BYTES);
  let position = BigInt(first);
  for (let at = 0; at < bytes.length; at += POSITION_BYTES) bytes.writeBigInt64BE(position++, at);
  return bytes;
}

export function originCount(bytes: Buffer): number {
  return Math.floor(bytes.length / POSITION_BYTES);
}

/** Undefined where there are not so many. */
export function originAt(bytes: Buffer | undefined, at: number): Position | undefined {
  if (bytes === undefined || at >= originCount(bytes)) return undefined;
  return String(bytes.readBigInt64BE(at * POSITION_BYTES)) as Position;
}
