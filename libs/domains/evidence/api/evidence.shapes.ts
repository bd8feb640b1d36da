import { ArrayUnique, IsBoolean, IsOptional, IsString, MaxLength } from 'class-validator';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import { AsOf, KnownWhen } from '#core/platform/http/moment.js';
import { Described } from '#core/platform/http/operation.js';
import { Nested } from '#core/platform/http/shapes.js';
import { IsCode, IsIdOf, IsInstant, IsList } from '#core/platform/http/validators.js';

/** What the calls for evidence take. */

export class RecordsQuery {
  @AsOf()
  asOf?: Instant;

  @KnownWhen()
  knownAt?: KnownAt;
}

export class PeriodBody {
  @Described('What was recorded at this moment is in it.')
  @IsOptional()
  @IsInstant()
  from?: Instant;

  @Described('What was recorded later is not.')
  @IsOptional()
  @IsInstant()
  to?: Instant;
}

export class EvidenceBody {
  @Described(
    'The people it is about; absent: all of whom something was recorded for the purpose, in the period.',
  )
  @IsOptional()
  @IsList(1, 10_000)
  @IsIdOf('sub', { each: true })
  @ArrayUnique()
  subjects?: SubjectId[];

  @Described('Only what bears on this purpose.')
  @IsOptional()
  @IsCode()
  purpose?: string;

  @Described('By when the ledger learned it.')
  @IsOptional()
  @Nested(() => PeriodBody)
  period?: PeriodBody;

  @Described('Whether personal fields are opened; needs subjects:reveal.')
  @IsOptional()
  @IsBoolean()
  reveal: boolean = false;

  @Described(
    'A checkpoint of an earlier day as it was signed, such as that of the previous bundle.',
  )
  @IsOptional()
  @IsString()
  @MaxLength(10_000)
  since?: string;
}
