import { Writable } from 'node:stream';
import {
  Body,
  Controller,
  Get,
  Global,
  HttpCode,
  Module,
  Param,
  Post,
  Query,
  type Type,
} from '@nestjs/common';
import {
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Max,
  Min,
} from 'class-validator';
import { pino } from 'pino';
import { Refused } from '#core/kernel/refused.js';
import { readConfig } from '#core/platform/config.js';
import {
  type Application,
  type ApplicationOptions,
  createApplication,
} from '#core/platform/http/application.js';
import {
  AUTHENTICATOR,
  CurrentPrincipal,
  type Principal,
  Public,
  Requires,
} from '#core/platform/http/auth.guard.js';
import { SCOPES } from '#core/kernel/scopes.js';
import { ExactlyOne, Nested, NestedList, OneOf } from '#core/platform/http/shapes.js';
import {
  IsCode,
  IsInstant,
  IsLanguage,
  IsPlainText,
  MaxJsonBytes,
} from '#core/platform/http/validators.js';

/** A small application in the ledger's manner, to try the platform with. */

export class PurposeChoice {
  @IsCode() purpose!: string;
  @IsIn(['give', 'refuse']) decision!: string;
}

export class TopicChoice {
  @IsCode() topic!: string;
  @IsIn(['on', 'off']) decision!: string;
}

@OneOf({ purpose: () => PurposeChoice, topic: () => TopicChoice })
export abstract class Choice {}

export class DeclaredBy {
  @IsIn(['subject', 'officer']) kind!: string;
}

export class InteractionBody {
  @IsOptional() @IsInstant() occurredAt?: string;
  @IsCode() source!: string;
  @IsOptional() @IsLanguage() language?: string;
  @IsOptional() @Nested(() => DeclaredBy) declaredBy?: DeclaredBy;
  @IsOptional() @IsObject() @MaxJsonBytes(100) evidence?: Record<string, unknown>;
  @IsOptional() @IsPlainText(20) comment?: string;
  @NestedList(() => Choice, { min: 1, max: 100 }) choices!: (PurposeChoice | TopicChoice)[];
}

@ExactlyOne('subjectId', 'contactPoint')
export class QuestionBody {
  @IsOptional() @IsString() subjectId?: string;
  @IsOptional() @IsString() contactPoint?: string;
}

export class ListQuery {
  @IsOptional() @IsInt() @Min(1) @Max(200) limit = 50;
  @IsOptional() @IsBoolean() reveal?: boolean;
  @IsOptional() @IsInstant() asOf?: string;
  @IsOptional() @IsArray() @IsCode({ each: true }) purpose?: string[];
}

@Controller('v1/sample')
class SampleController {
  @Post(':id/interactions')
  @Requires('choices:write')
  record(@Body() body: InteractionBody): object {
    return { body };
  }

  @Post('done')
  @Requires('choices:write')
  done(): void {}

  @Post('questions')
  @Requires('decisions:read')
  @HttpCode(200)
  ask(@Body() body: QuestionBody): object {
    return body;
  }

  @Get()
  @Requires('subjects:read')
  list(@Query() query: ListQuery): object {
    return query;
  }

  @Get('me')
  @Requires('events:read', 'audit:read')
  me(@CurrentPrincipal() principal: Principal): object {
    return { id: principal.id };
  }

  @Get('refused/:kind')
  @Public()
  refuse(@Param('kind') kind: Refused['kind']): never {
    throw new Refused(kind, `sample-${kind}`, 'As asked.', {
      evidence: { subjectId: 'sub_x', ...(kind === 'unavailable' ? { retryAfter: 7 } : {}) },
    });
  }

  @Get('broken/:how')
  @Public()
  break(@Param('how') how: string): never {
    const secret = 'erika@example.org';
    if (how === 'database')
      throw Object.assign(new Error(`Key (email)=(${secret}) exists`), {
        name: 'DatabaseError',
        code: '23505',
        detail: secret,
      });
    if (how === 'away')
      throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED', syscall: 'connect' });
    throw new TypeError(`${secret}\n    at libs/${secret}/x.ts:1:1`);
  }
}

export const PRINCIPALS: Readonly<Record<string, Principal>> = {
  clk_all: { kind: 'service', id: 'svc_all', keyId: 'key_all', scopes: new Set(SCOPES) },
  clk_other: { kind: 'service', id: 'svc_other', keyId: 'key_other', scopes: new Set(SCOPES) },
  clk_reader: {
    kind: 'officer',
    id: 'usr_r',
    keyId: 'key_reader',
    scopes: new Set(['subjects:read']),
  },
};

@Global()
@Module({
  providers: [
    {
      provide: AUTHENTICATOR,
      useValue: {
        authenticate: (secret: string) => Promise.resolve(PRINCIPALS[secret]),
      },
    },
  ],
  exports: [AUTHENTICATOR],
})
export class SignIn {}

export interface Sample extends Application {
  /** Everything logged so far. */
  readonly logged: () => string;
}

export async function sample(
  more: { imports?: (Type | object)[]; controllers?: Type[] } = {},
  options: ApplicationOptions = {},
): Promise<Sample> {
  @Module({
    imports: [SignIn, ...((more.imports ?? []) as Type[])],
    controllers: [SampleController, ...(more.controllers ?? [])],
  })
  class SampleModule {}
  let log = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString();
      done();
    },
  });
  const logger = options.logger ?? pino({ level: 'trace' }, sink);
  const application = await createApplication(SampleModule, readConfig({ PORT: '0' }), {
    ...options,
    logger,
  });
  return { ...application, logged: () => log };
}

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
