import { Query } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import type { SubjectReference } from '#domains/subjects/queries/find-subjects.message.js';
import type { Answer } from '../domain/answer.js';

/** May we do this, with this person's data? */
export type DecisionQuestion = ({ readonly subjectId: SubjectId } | SubjectReference) & {
  readonly purpose: string;
  readonly channel?: Channel;
  readonly topic?: string;
  readonly asOf?: Instant;
  readonly knownAt?: KnownAt;
};

export interface DecisionAnswer extends Answer {
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  /** How far the ledger was known to the answer. */
  readonly position: Position;
}

/** Many questions, answered in order from one reading. */
export class Decide extends Query<readonly DecisionAnswer[]> {
  constructor(
    readonly questions: readonly DecisionQuestion[],
    /** Whether the caller may see what held before an erasure. */
    readonly behindErasure: boolean,
    readonly consistentAt?: Position,
    /** Where the n-th question stands in the caller's body. */
    readonly pointerTo: (n: number) => string = () => '',
  ) {
    super();
  }
}
