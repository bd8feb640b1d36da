import { IsOptional } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import { Described } from '#core/platform/http/operation.js';
import { IsInstant, IsKnownAt } from '#core/platform/http/validators.js';

/** What the calls for evidence take. */

export class RecordsQuery {
  @Described('What had happened then.')
  @IsOptional()
  @IsInstant()
  asOf?: Instant;

  @Described('What the ledger knew then: a time, or `position:N`.')
  @IsOptional()
  @IsKnownAt()
  knownAt?: KnownAt;
}
