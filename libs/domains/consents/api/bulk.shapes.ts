import { IsIn, IsInt, IsOptional, Max, Min } from 'class-validator';
import type { SubjectId } from '#core/kernel/ids.js';
import { ExactlyOne, Nested, OneOf } from '#core/platform/http/shapes.js';
import { IsIdOf, IsPlainText } from '#core/platform/http/validators.js';
import { ExternalRefBody, RegistrationBody } from '#domains/subjects/api/registration.shapes.js';
import { InteractionBody } from './consents.shapes.js';

/** A registration, as the body of POST /v1/subjects, with the reference that names the person first. */
export class RegistrationLine extends RegistrationBody {
  @IsIn(['register'])
  type!: 'register';

  /** Becomes the first of `externalRefs`. */
  @IsOptional()
  @Nested(() => ExternalRefBody)
  externalRef?: ExternalRefBody;

  @IsOptional()
  @IsPlainText(255)
  idempotencyKey?: string;
}

/** An interaction, as the body of POST /v1/subjects/{id}/interactions, with the person it is with. */
@ExactlyOne('subjectId', 'externalRef')
export class InteractionLine {
  @IsIn(['interaction'])
  type!: 'interaction';

  @IsOptional()
  @IsIdOf('sub')
  subjectId?: SubjectId;

  @IsOptional()
  @Nested(() => ExternalRefBody)
  externalRef?: ExternalRefBody;

  @Nested(() => InteractionBody)
  interaction!: InteractionBody;

  @IsOptional()
  @IsPlainText(255)
  idempotencyKey?: string;
}

/** One line of a bulk recording. */
@OneOf({ interaction: () => InteractionLine }, () => RegistrationLine)
export abstract class BulkLineBody {}

export class BulkQuery {
  /** Names the import that the lines belong to, for provenance and for receipts of lines without a time. */
  @IsOptional()
  @IsIdOf('imp')
  importId?: string;

  /** Number of the first line, where this is a later part of a file. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  firstLine: number = 1;
}
