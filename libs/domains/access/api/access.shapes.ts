import { ArrayUnique, IsIn, IsOptional, IsString, Matches } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import { PageQuery } from '#core/platform/http/cursor.js';
import { Described } from '#core/platform/http/operation.js';
import { IsInstant, IsList, IsPlainText } from '#core/platform/http/validators.js';
import { type Role, ROLES, type Scope, SCOPES } from '../commands/issue-api-key.js';

/** What the calls on access take. */

export class NewApiKeyBody {
  @Described('What people call it. Sealed.', 'Web shop')
  @IsOptional()
  @IsPlainText(200)
  name?: string;

  @Described('Gives its scopes, and says whether a program or a person in office stands behind it.')
  @IsOptional()
  @IsIn(ROLES)
  role?: Role;

  @Described('What it may do: with a role, some of what the role may.')
  @IsOptional()
  @IsList(1, SCOPES.length)
  @IsIn(SCOPES, { each: true })
  @ArrayUnique()
  scopes?: Scope[];

  @Described('From then on it opens nothing; an auditor needs one.')
  @IsOptional()
  @IsInstant()
  expiresAt?: Instant;
}

const ID = /^[A-Za-z0-9_:.-]{1,200}$/;
const malformedId = { context: { code: 'malformed-id', detail: 'must be an id' } };

export class AuditQuery extends PageQuery {
  @Described('The id of who did it.')
  @IsOptional()
  @IsString()
  @Matches(ID, malformedId)
  actor?: string;

  @Described('The type of event.', 'PersonalDataViewed')
  @IsOptional()
  @IsString()
  @Matches(/^[A-Za-z][A-Za-z0-9]{0,99}$/, {
    context: { code: 'malformed-action', detail: 'must be a type of event' },
  })
  action?: string;

  @Described('The id of whom or what it was done to.')
  @IsOptional()
  @IsString()
  @Matches(ID, malformedId)
  target?: string;

  @Described('At or after.')
  @IsOptional()
  @IsInstant()
  from?: Instant;

  @Described('Before.')
  @IsOptional()
  @IsInstant()
  to?: Instant;
}
