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

/** A key that signs checkpoints, or one that signed some, and from when to when. */
export interface KeyPeriod {
  /** As c2sp.org/signed-note writes it. */
  readonly verifierKey: string;
  /** No checkpoint that was published earlier has its signature. */
  readonly from: Instant;
  /** It has signed nothing since; undefined while it signs. */
  readonly until?: Instant;
}
