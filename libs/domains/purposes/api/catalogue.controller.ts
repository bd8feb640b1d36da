import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
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

/** The read models that are made of the catalogue as well; everything else asks the log itself. */
const MADE_OF_CATALOGUE = ['standing'];

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
    const applied = await this.commands.execute(new ApplyCatalogue(catalogueFrom(body), requested));
    answer.position(applied.position);
    return { ...applied, visible: await this.becomesVisible(applied.position) };
  }

  /** What was applied stands, whether or not the read models come along in time. */
  private async becomesVisible(position: Position): Promise<boolean> {
    try {
      await this.readModels.waitFor(position, MADE_OF_CATALOGUE);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.kind === 'unavailable') return false;
      throw error;
    }
  }
}
