import { IsIn, IsOptional } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import { IsInstant, IsPlainText } from '#core/platform/http/validators.js';
import { type LegalBasis, LEGAL_BASES } from '#domains/purposes/domain/purposes.events.js';
import { BASIS_STATUSES, type BasisStatus } from '../domain/consents.vocabulary.js';

/** What can be said of a legal basis, for a person who is registered or is being registered. */
export class BasisTermsBody {
  @IsIn(LEGAL_BASES)
  basis!: LegalBasis;

  @IsIn(BASIS_STATUSES)
  status!: BasisStatus;

  @IsOptional()
  @IsInstant()
  occurredAt?: Instant;

  /** The contract, law or decision it rests on. */
  @IsOptional()
  @IsPlainText(500)
  reference?: string;

  /** The balancing test. */
  @IsOptional()
  @IsPlainText(500)
  assessment?: string;

  @IsOptional()
  @IsInstant()
  validUntil?: Instant;

  @IsOptional()
  @IsPlainText(2_000)
  comment?: string;
}
