import { IsIn, IsOptional } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import { Nested, NestedList } from '#core/platform/http/shapes.js';
import { IsCode, IsInstant, IsLanguage, IsPlainText } from '#core/platform/http/validators.js';
import { BasisTermsBody } from '#domains/consents/api/basis.shapes.js';
import { CONTACT_KINDS, type ContactKind } from '../domain/subjects.events.js';

/** A registration: a call's body, and with little beside it a line of a bulk recording. */

export class ContactPointBody {
  @IsIn(CONTACT_KINDS)
  kind!: ContactKind;

  /** An e-mail address, a phone number, or a postal address in one text. */
  @IsPlainText(500)
  value!: string;
}

export class ExternalRefBody {
  /** The system that gave the id. */
  @IsCode()
  system!: string;

  @IsPlainText(200)
  id!: string;
}

export class CollectionBody {
  /** From the person (Art. 13), or otherwise (Art. 14). */
  @IsIn(['subject', 'third-party', 'public'])
  from!: 'subject' | 'third-party' | 'public';

  @IsOptional()
  @IsPlainText(500)
  origin?: string;

  @IsOptional()
  @IsInstant()
  collectedAt?: Instant;
}

export class RegistrationBasisBody extends BasisTermsBody {
  @IsCode()
  purpose!: string;
}

export class RegistrationBody {
  /** One of the privacy centre's sources. */
  @IsCode()
  source!: string;

  @IsOptional()
  @NestedList(() => ContactPointBody, { min: 0, max: 50 })
  contactPoints?: ContactPointBody[];

  @IsOptional()
  @NestedList(() => ExternalRefBody, { min: 0, max: 20 })
  externalRefs?: ExternalRefBody[];

  @IsOptional()
  @IsPlainText(500)
  name?: string;

  @IsOptional()
  @IsLanguage()
  language?: string;

  @IsOptional()
  @IsInstant()
  occurredAt?: Instant;

  @IsOptional()
  @IsInstant()
  receivedAt?: Instant;

  @IsOptional()
  @Nested(() => CollectionBody)
  collection?: CollectionBody;

  @IsOptional()
  @NestedList(() => RegistrationBasisBody, { min: 0, max: 100 })
  bases?: RegistrationBasisBody[];
}
