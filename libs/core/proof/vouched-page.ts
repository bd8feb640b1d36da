import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { TILE_WIDTH } from './tiles.js';

/** So many events are looked at together: whole tiles, so that their interior is hashed with them. */
export const PAGE_EVENTS = 8 * TILE_WIDTH;

/** The next events of a log. */
export interface LookedAt {
  readonly events: number;
  /** Undefined where they have to be looked at one by one. */
  readonly vouched: VouchedPage | undefined;
}

/**
 * Events that follow each other in the log and of which somebody has found what `verify` would find of each by itself:
 * that it can be decoded, that the columns say what its bytes say, that it was not recorded before the one before it.
 * Packed, so that it can be handed from one thread to another.
 */
export interface VouchedPage {
  /** The position before the first of them. */
  readonly after: Position;
  /** The hashes of their leaves, one behind the other. */
  readonly leaves: Uint8Array;
  /** The root of each 256 of them. */
  readonly tiles: Uint8Array;
  /** Where the leaves come from, as `originBytes` has it. */
  readonly origins: Uint8Array;
  /** What `StreamOrder` keeps of them, see `RunPacker`. */
  readonly runs: Uint8Array;
  /** For each of the runs, at which of the events it begins. */
  readonly runStarts: Uint16Array;
  readonly last: { readonly position: Position; readonly recordedAt: Instant };
}
