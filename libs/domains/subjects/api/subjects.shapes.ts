import { ArrayUnique, IsBoolean, IsIn, IsOptional } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import { AsOf, KnownWhen } from '#core/platform/http/moment.js';
import { ExactlyOne, Nested, Rule } from '#core/platform/http/shapes.js';
import {
  IsCode,
  IsInstant,
  IsLanguage,
  IsList,
  IsPlainText,
} from '#core/platform/http/validators.js';
import { RESTRICTION_GROUNDS, type RestrictionGround } from '../domain/subjects.events.js';
import { ContactPointBody, ExternalRefBody } from './registration.shapes.js';

/** What the calls on people take, beside a registration. */

export class AddContactPointBody extends ContactPointBody {
  @IsOptional()
  @IsCode()
  source: string = 'api';

  @IsOptional()
  @IsInstant()
  occurredAt?: Instant;

  @IsOptional()
  @IsInstant()
  receivedAt?: Instant;
}

@Rule(({ name, language }: IdentityBody) =>
  name === undefined && language === undefined
    ? [{ pointer: '', code: 'nothing-to-rectify', detail: 'must hold a name or a language' }]
    : [],
)
export class IdentityBody {
  @IsOptional()
  @IsPlainText(500)
  name?: string;

  @IsOptional()
  @IsLanguage()
  language?: string;

  @IsOptional()
  @IsCode()
  source: string = 'api';

  @IsOptional()
  @IsInstant()
  occurredAt?: Instant;

  @IsOptional()
  @IsInstant()
  receivedAt?: Instant;
}

export class RestrictionBody {
  /** Art. 18(1)(a) to (d). */
  @IsIn(RESTRICTION_GROUNDS)
  ground!: RestrictionGround;

  /** Absent: all purposes. */
  @IsOptional()
  @IsList(1, 100)
  @IsCode({ each: true })
  @ArrayUnique()
  purposes?: string[];

  @IsOptional()
  @IsPlainText(2_000)
  note?: string;
}

@ExactlyOne('contactPoint', 'externalRef')
export class SearchBody {
  @IsOptional()
  @Nested(() => ContactPointBody)
  contactPoint?: ContactPointBody;

  @IsOptional()
  @Nested(() => ExternalRefBody)
  externalRef?: ExternalRefBody;
}

export class SubjectQuery {
  @AsOf()
  asOf?: Instant;

  @KnownWhen()
  knownAt?: KnownAt;

  @IsOptional()
  @IsBoolean()
  reveal: boolean = false;
}
