import type { EventId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';

/** The ledger's time at an event: the latest that was recorded up to and including it. */
export interface TimeMark {
  readonly position: Position;
  readonly eventId: EventId;
  readonly time: Instant;
}

/**
 * Some places of the log and the time there, for a store that can not look a time up by itself. They are
 * derived from the log: whoever loses them reads it once more. Times never decrease along positions.
 */
export interface TimeMarks {
  /** The last one whose time is at or before `instant`. */
  atTime(instant: Instant): Promise<TimeMark | undefined>;
  /** The last one at or before `position`. */
  atPosition(position: Position): Promise<TimeMark | undefined>;
  last(): Promise<TimeMark | undefined>;
  /** One that is there already stays as it is: several processes find the same ones. */
  add(mark: TimeMark): Promise<void>;
  /** They were of another log. */
  clear(): Promise<void>;
}
