import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { ApiKeyId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { CurrentPrincipal, type Principal, Requires } from '#core/platform/http/auth.guard.js';
import {
  decodeCursor,
  encodeCursor,
  type PageOf,
  pageOf,
  PageQuery,
} from '#core/platform/http/cursor.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { idOf } from '#core/platform/http/path-id.js';
import { IssueApiKey, type Role, type Scope } from '../commands/issue-api-key.js';
import { RevokeApiKey } from '../commands/revoke-api-key.js';
import { type ApiKeyView, ListApiKeys, ViewApiKey } from '../queries/api-keys.js';
import { issuedKeyExample, keyExample, keysExample, newKeyBody } from './access.examples.js';
import { issuedKeySchema, keySchema, keysSchema } from './access.schemas.js';
import { NewApiKeyBody } from './access.shapes.js';

/** What was issued. Without the name: answers to repeatable calls are kept, and must hold nothing personal. */
interface IssuedKey {
  readonly keyId: ApiKeyId;
  readonly secret: string | null;
  readonly role?: Role;
  readonly scopes: readonly Scope[];
  readonly expiresAt?: Instant;
  readonly revision: number;
  readonly position: Position;
  readonly recordedAt: Instant;
}

/** Keys for programs and people. */
@Controller('/v1/api-keys')
export class ApiKeysController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Requires('access:admin')
  @Operation({
    summary: 'All keys, the newest first',
    answers: { 200: { description: 'A page.', body: keysSchema, example: keysExample } },
  })
  async list(
    @Query() { limit, cursor }: PageQuery,
    @Answering() answer: Answer,
  ): Promise<PageOf<ApiKeyView>> {
    const [issuedAt, keyId] = decodeCursor('api-keys', {}, cursor) ?? [];
    const after =
      issuedAt !== undefined && keyId !== undefined ? ([issuedAt, keyId] as const) : undefined;
    const keys = await this.queries.execute(new ListApiKeys(after, limit + 1));
    const list = pageOf(keys, limit, (last) =>
      encodeCursor('api-keys', {}, [last.issuedAt, last.keyId]),
    );
    answer.nextPage(list.page.next);
    return list;
  }

  @Post()
  @HttpCode(201)
  @Requires('access:admin')
  @Idempotent({ secrets: ['secret'] })
  @Operation({
    summary: 'Issue a key',
    description:
      'The secret is in this answer and nowhere else. Nobody can issue a key with scopes that they lack.',
    example: newKeyBody,
    answers: {
      201: { description: 'It is issued.', body: issuedKeySchema, example: issuedKeyExample },
    },
    problems: { 422: ['scope-not-of-role', 'in-the-past'] },
  })
  async issue(
    @Body() body: NewApiKeyBody,
    @Asked() requested: Requested,
    @CurrentPrincipal() principal: Principal,
    @Answering() answer: Answer,
  ): Promise<IssuedKey> {
    const { name, role, scopes: asked, expiresAt } = body;
    const issued = await this.commands.execute(
      new IssueApiKey({ name, role, scopes: asked, expiresAt }, principal.scopes, requested),
    );
    const { keyId, secret, scopes, revision, position, recordedAt } = issued;
    answer.location(`/v1/api-keys/${keyId}`).revision(revision).position(position);
    return { keyId, secret, role, scopes, expiresAt, revision, position, recordedAt };
  }

  @Get(':id')
  @Requires('access:admin')
  @Operation({
    summary: 'One key, without its secret',
    answers: { 200: { description: 'As it is.', body: keySchema, example: keyExample } },
    problems: { 404: ['unknown-api-key'] },
  })
  async show(@Param('id', idOf('key', 'unknown-api-key')) id: ApiKeyId): Promise<ApiKeyView> {
    return this.queries.execute(new ViewApiKey(id));
  }

  @Delete(':id')
  @HttpCode(204)
  @Requires('access:admin')
  @Idempotent()
  @Operation({
    summary: 'Take a key back',
    description: 'Within a second it opens nothing any more.',
    answers: { 204: { description: 'It is taken back.' } },
    problems: { 404: ['unknown-api-key'] },
  })
  async revoke(
    @Param('id', idOf('key', 'unknown-api-key')) id: ApiKeyId,
    @Asked() requested: Requested,
    @Answering() answer: Answer,
  ): Promise<void> {
    const { revision, position } = await this.commands.execute(new RevokeApiKey(id, requested));
    answer.revision(revision).position(position);
  }
}
