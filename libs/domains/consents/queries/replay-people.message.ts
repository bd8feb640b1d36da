import { Query } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import type { PersonStanding } from './person-standing.message.js';

/**
 * The log folded once more, from its first event and without any read model: how everybody, or one person,
 * stood at a moment, as it was known at a moment. For whoever has the store at hand: nothing is hidden
 * behind an erasure, and nothing personal is opened.
 */
export class ReplayPeople extends Query<Replay> {
  constructor(
    readonly asked: {
      readonly subjectId?: SubjectId;
      readonly asOf?: Instant;
      readonly knownAt?: KnownAt;
    },
  ) {
    super();
  }
}

export interface Replay {
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  readonly position: Position;
  /** Pages of people in the order in which the log met them; memory holds one page at a time. */
  pages(): AsyncIterable<readonly ReplayedPerson[]>;
}

export interface ReplayedPerson extends PersonStanding {
  readonly subjectId: SubjectId;
  /** Of the last event that was known of them. */
  readonly revision: number;
}
