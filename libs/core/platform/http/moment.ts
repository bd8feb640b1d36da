import { applyDecorators } from '@nestjs/common';
import { IsOptional } from 'class-validator';
import { Described } from './operation.js';
import { IsInstant, IsKnownAt } from './validators.js';

/** The two times of a read, spelled alike everywhere: `@AsOf() asOf?: Instant; @KnownWhen() knownAt?: KnownAt;`. */

export function AsOf(): PropertyDecorator {
  return applyDecorators(
    Described('What had happened then; absent: now.'),
    IsOptional(),
    IsInstant(),
  ) as PropertyDecorator;
}

export function KnownWhen(): PropertyDecorator {
  return applyDecorators(
    Described('What the ledger knew then: a time, or `position:N`; absent: all it knows.'),
    IsOptional(),
    IsKnownAt(),
  ) as PropertyDecorator;
}
