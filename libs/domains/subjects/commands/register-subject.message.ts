import { Command } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Requested } from '#core/kernel/requested.js';
import type { Outcome } from '#core/ledger/ledger.js';
import type { BasisStatus } from '#domains/consents/domain/consents.vocabulary.js';
import type { LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import type { Collection, ContactKind, ExternalRef } from '../domain/subjects.events.js';

export interface RegistrationBasis {
  readonly purpose: string;
  readonly basis: LegalBasis;
  readonly status: BasisStatus;
  readonly reference?: string;
  readonly assessment?: string;
  readonly validUntil?: Instant;
  readonly occurredAt?: Instant;
  readonly comment?: string;
}

export interface RegistrationInput {
  readonly source: string;
  readonly contactPoints?: readonly { readonly kind: ContactKind; readonly value: string }[];
  readonly externalRefs?: readonly ExternalRef[];
  readonly name?: string;
  readonly language?: string;
  readonly occurredAt?: Instant;
  readonly receivedAt?: Instant;
  readonly collection?: Collection & { readonly origin?: string };
  readonly bases?: readonly RegistrationBasis[];
}

export interface Registered extends Outcome {
  readonly subjectId: SubjectId;
}

/** Registers a person with all that is known of them, or nothing. */
export class RegisterSubject extends Command<Registered> {
  constructor(
    readonly input: RegistrationInput,
    readonly requested: Requested,
  ) {
    super();
  }
}
