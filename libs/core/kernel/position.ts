import type { Branded } from './ids.js';

/**
 * A place in the log's total order: a decimal string that only an adapter may count with.
 * `START` is before everything. Nothing may assume that the place after N is N+1.
 */
export type Position = Branded<string, 'position'>;

export const START = '0' as Position;

/** Reads a position; undefined where the text is none (no sign, no leading zeros, at most 19 digits). */
export function parsePosition(text: string): Position | undefined {
  return /^(0|[1-9][0-9]{0,18})$/.test(text) ? (text as Position) : undefined;
}

/** Negative, zero or positive as `a` lies before, at or after `b`. */
export function comparePositions(a: Position, b: Position): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function earlierOf(a: Position, b: Position): Position {
  return comparePositions(a, b) <= 0 ? a : b;
}

export function laterOf(a: Position, b: Position): Position {
  return comparePositions(a, b) >= 0 ? a : b;
}
