import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';

/**
 * What a read needs to know of the read models before it answers from one; the projector is behind it. What
 * is asked about the people of some `streams` depends only on the partitions that these are in.
 */
export interface ReadModels {
  /** Waits up to 2 s until all named have passed `position`, else refuses with `projection-lagging`. */
  waitFor(
    position: Position,
    names: readonly string[],
    streams?: readonly StreamName[],
  ): Promise<void>;
  /** Refuses with `read-model-stale` where one is stopped, or more than 10 s behind: never a guess. */
  mustBeFresh(names: readonly string[], streams?: readonly StreamName[]): Promise<void>;
  /** Whether everything that serves decisions and subjects has passed `position`. */
  visible(position: Position): Promise<boolean>;
}

export const READ_MODELS = Symbol('ReadModels');
