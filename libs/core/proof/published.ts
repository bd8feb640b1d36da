import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { Checkpoint } from './checkpoint.js';

/** A signed checkpoint as everybody sees it. */
export interface PublishedCheckpoint extends Checkpoint {
  /** The signed note, byte for byte. */
  readonly note: string;
  /** Where its last leaf came from: everything up to there is sealed. */
  readonly position: Position;
  readonly signedAt: Instant;
}
