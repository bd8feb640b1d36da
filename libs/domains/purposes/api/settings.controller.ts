import { Body, Controller, Get, HttpCode, Post, Put, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { Position } from '#core/kernel/position.js';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import type { PageOf } from '#core/platform/http/cursor.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { IfMatch } from '#core/platform/http/preconditions.js';
import { SETTINGS } from '../commands/catalogue-streams.js';
import { ChangeSettings, type Setting } from '../commands/change-settings.js';
import type { Controller as ControllerOfData, DefaultBasis } from '../domain/purposes.events.js';
import { AskPrivacyCentre, type PrivacyCentre } from '../queries/privacy-centre.message.js';
import {
  controllerBody,
  controllerExample,
  controllersExample,
  defaultsBody,
  defaultsExample,
  sourceExample,
  sourcesExample,
} from './catalogue.examples.js';
import {
  controllerSchema,
  controllersSchema,
  defaultsSchema,
  sourceSchema,
  sourcesSchema,
} from './catalogue.schemas.js';
import {
  CatalogueQuery,
  ControllerBody,
  controllerFrom,
  DefaultsBody,
  defaultsFrom,
  KnownAtQuery,
  SourceBody,
} from './catalogue.shapes.js';
import { listed, spelled } from './listing.js';

interface Changed {
  /** Absent while nothing was ever set. */
  readonly revision?: number;
  readonly position: Position;
}

interface Defaults extends Changed {
  readonly bases: readonly DefaultBasis[];
}

/** Who is responsible, where data may come from, and which basis is recorded where none is named. */
@Controller('/v1')
export class SettingsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get('controllers')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'The controllers, by key',
    answers: {
      200: { description: 'A page.', body: controllersSchema, example: controllersExample },
    },
  })
  async listControllers(
    @Query() query: CatalogueQuery,
    @Answering() answer: Answer,
  ): Promise<PageOf<ControllerOfData>> {
    const centre = await this.centreAt(query);
    const filters = { knownAt: spelled(query.knownAt) };
    const list = listed('controllers', filters, query, centre.controllers, ({ key }) => key);
    answer.nextPage(list.page.next);
    return { ...list, ...revisionOf('controllers', centre, answer) };
  }

  @Post('controllers')
  @HttpCode(201)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Add a controller, or replace the one of that key',
    example: controllerBody,
    answers: {
      200: {
        description: 'It was there; it now stands so.',
        body: controllerSchema,
        example: controllerExample,
      },
      201: { description: 'It is added.', body: controllerSchema, example: controllerExample },
    },
  })
  async setController(
    @Body() body: ControllerBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<ControllerOfData & Changed> {
    const controller = controllerFrom(body);
    const { controllers } = await this.queries.execute(new AskPrivacyCentre());
    if (controllers.some(({ key }) => key === controller.key)) answer.status(200);
    const setting = { kind: 'controllers', controllers: [controller] } as const;
    return { ...controller, ...(await this.change(setting, requested, answer)) };
  }

  @Get('sources')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'Where data may be said to come from',
    answers: { 200: { description: 'A page.', body: sourcesSchema, example: sourcesExample } },
  })
  async listSources(
    @Query() query: CatalogueQuery,
    @Answering() answer: Answer,
  ): Promise<PageOf<{ key: string }>> {
    const centre = await this.centreAt(query);
    const filters = { knownAt: spelled(query.knownAt) };
    const { data, page } = listed('sources', filters, query, centre.sources, (key) => key);
    answer.nextPage(page.next);
    return { data: data.map((key) => ({ key })), page, ...revisionOf('sources', centre, answer) };
  }

  @Post('sources')
  @HttpCode(201)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Add a source',
    example: { key: 'trade-fair' },
    answers: {
      200: { description: 'It was there already.', body: sourceSchema, example: sourceExample },
      201: { description: 'It is added.', body: sourceSchema, example: sourceExample },
    },
  })
  async addSource(
    @Body() { key }: SourceBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<{ key: string } & Changed> {
    const { sources } = await this.queries.execute(new AskPrivacyCentre());
    if (sources.includes(key)) answer.status(200);
    const setting = { kind: 'sources', sources: [key] } as const;
    return { key, ...(await this.change(setting, requested, answer)) };
  }

  @Get('defaults')
  @Requires('subjects:read', 'decisions:read', 'catalogue:write')
  @Operation({
    summary: 'The bases that a registration without its own receives',
    answers: {
      200: { description: 'As they are.', body: defaultsSchema, example: defaultsExample },
    },
  })
  async defaults(@Query() query: KnownAtQuery, @Answering() answer: Answer): Promise<Defaults> {
    const centre = await this.centreAt(query);
    const { defaultBases: bases, position } = centre;
    return { bases, ...revisionOf('defaults', centre, answer), position };
  }

  @Put('defaults')
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Set the bases that a registration without its own receives',
    description: 'In the place of all that there were. Consent is never assumed.',
    example: defaultsBody,
    answers: {
      200: { description: 'They stand so.', body: defaultsSchema, example: defaultsExample },
    },
    problems: { 422: ['unknown-purpose', 'basis-not-allowed', 'reference-required'] },
  })
  async setDefaults(
    @Body() body: DefaultsBody,
    @Asked() requested: Requested,
    @IfMatch() _: unknown,
    @Answering() answer: Answer,
  ): Promise<Defaults> {
    const bases = defaultsFrom(body);
    return { bases, ...(await this.change({ kind: 'defaults', bases }, requested, answer)) };
  }

  private async centreAt({ knownAt }: KnownAtQuery): Promise<PrivacyCentre> {
    return this.queries.execute(new AskPrivacyCentre(knownAt));
  }

  private async change(setting: Setting, requested: Requested, answer: Answer): Promise<Changed> {
    const outcome = await this.commands.execute(new ChangeSettings(setting, requested));
    const { revision, position } = outcome;
    answer.position(position);
    if (revision < 0) return { position };
    answer.revision(revision);
    return { revision, position };
  }
}

/** The revision of one kind of settings, where there is one: a default that nobody changed has none. */
function revisionOf(
  kind: keyof typeof SETTINGS,
  { revisions }: PrivacyCentre,
  answer: Answer,
): { revision?: number } {
  const revision = revisions[SETTINGS[kind]];
  if (revision === undefined) return {};
  answer.revision(revision);
  return { revision };
}
