/**
 * A place in the server's log, in bytes. An event lies where commit and prepare are equal; between two events lie
 * positions with a prepare of 0, and the server hands those out as checkpoints too.
 */
export interface LogPosition {
  readonly commit: bigint;
  readonly prepare: bigint;
}

/** Before everything that was ever written. */
export const NOTHING: LogPosition = { commit: -1n, prepare: -1n };

export const FIRST: LogPosition = { commit: 0n, prepare: 0n };

/** Of the event that begins at this byte. */
export function eventAt(offset: bigint): LogPosition {
  return { commit: offset, prepare: offset };
}

/** What follows an event that ends at this byte, and comes before the next one. */
export function afterEventTo(offset: bigint): LogPosition {
  return { commit: offset, prepare: 0n };
}

/** Below, at or above 0 where `a` is before, at or after `b`. */
export function compareLogPositions(a: LogPosition, b: LogPosition): number {
  const difference = a.commit === b.commit ? a.prepare - b.prepare : a.commit - b.commit;
  return difference < 0n ? -1 : Number(difference > 0n);
}

export function laterOf(a: LogPosition, b: LogPosition): LogPosition {
  return compareLogPositions(a, b) < 0 ? b : a;
}
