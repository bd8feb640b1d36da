import type { Position } from '#core/kernel/position.js';
import type { Seal } from '#core/kernel/seal.js';

/** What a receipt needs to know of the proof; the sealer is behind it. */
export interface Seals {
  /** The first checkpoint that covers `position`; undefined where none does yet, as of a moment ago. */
  of(position: Position): Promise<Seal | undefined>;
}

export const SEALS = Symbol('Seals');
