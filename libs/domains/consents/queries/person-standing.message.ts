import { Query } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { PersonSpan } from '../domain/person.js';
import type { Code } from '../domain/consents.vocabulary.js';
import type { BasisState } from '../domain/standing.js';
import type { LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import type { Pointer } from '../domain/facts.js';

/** How a person stands towards every purpose, folded from their stream and so never behind. */
export class AskPersonStanding extends Query<PersonStanding> {
  constructor(
    readonly subjectId: SubjectId,
    readonly asOf: Instant,
    /** Absent: everything the log holds of this person. */
    readonly knownAt?: Position,
    /** Whether the caller may see what held before an erasure. */
    readonly behindErasure = true,
  ) {
    super();
  }
}

export interface PersonStanding {
  /** Absent: not registered at `asOf`, not known at `knownAt`, or behind an erasure that hides it. */
  readonly person?: PersonSpan;
  readonly purposes: readonly PurposeStanding[];
  readonly erasedAt?: Instant;
}

export interface PurposeStanding {
  readonly purpose: string;
  readonly allowed: boolean;
  readonly code: Code;
  readonly reasons: readonly Code[];
  readonly basis?: LegalBasis;
  readonly since?: Instant;
  /** The event that proves it. */
  readonly event?: Pointer;
  readonly bases: readonly BasisState[];
}
