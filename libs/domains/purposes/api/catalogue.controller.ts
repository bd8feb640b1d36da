import { setTimeout as sleep } from 'node:timers/promises';
import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { Position } from '#core/kernel/position.js';
import type { Requested } from '#core/kernel/requested.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import { Idempotent } from '#core/platform/http/idempotency.js';
import { Operation } from '#core/platform/http/operation.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { ApplyCatalogue, type AppliedCatalogue } from '../commands/apply-catalogue.js';
import { appliedExample, catalogueBody } from './catalogue.examples.js';
import { appliedSchema } from './catalogue.schemas.js';
import { CatalogueBody, catalogueFrom } from './catalogue.shapes.js';

/** Milliseconds that the call waits until its changes are in every answer, and between two looks. */
const PATIENCE = 2_000;
const PAUSE = 20;

/** The whole privacy centre as one file. */
@Controller('/v1/catalogue')
export class CatalogueController {
  constructor(
    private readonly commands: CommandBus,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
  ) {}

  @Post()
  @HttpCode(200)
  @Requires('catalogue:write')
  @Idempotent()
  @Operation({
    summary: 'Apply a catalogue file',
    description:
      'Checks all of it, then brings the catalogue to what it says: controllers, sources, purposes, notices, ' +
      'topics, defaults. What it does not name stays; applying it again changes nothing. Answers once the changes ' +
      'are visible, or after 2 s with `visible: false`.',
    example: catalogueBody,
    answers: {
      200: {
        description: 'How many entries were new, changed, or as they were.',
        body: appliedSchema,
        example: appliedExample,
      },
    },
    problems: {
      422: ['unknown-controller', 'unknown-purpose', 'notice-immutable', 'purpose-retired'],
    },
  })
  async apply(
    @Body() body: CatalogueBody,
    @Asked() requested: Requested,
    @Answering() answer: Answer,
  ): Promise<AppliedCatalogue & { visible: boolean }> {
    const applied = await this.commands.execute(
      new ApplyCatalogue(catalogueFrom(body), requested),
    );
    answer.position(applied.position);
    return { ...applied, visible: await this.becomesVisible(applied.position) };
  }

  private async becomesVisible(position: Position): Promise<boolean> {
    const until = performance.now() + PATIENCE;
    while (!(await this.readModels.visible(position))) {
      if (performance.now() > until) return false;
      await sleep(PAUSE);
    }
    return true;
  }
}
