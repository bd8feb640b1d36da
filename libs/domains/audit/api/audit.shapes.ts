import { applyDecorators } from '@nestjs/common';
import { IsBoolean, IsIn, IsInt, IsOptional, IsString, Matches, Max, Min } from 'class-validator';
import type { EventId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import { MAX_LIMIT, PageQuery } from '#core/platform/http/cursor.js';
import { AsOf, KnownWhen } from '#core/platform/http/moment.js';
import { Described } from '#core/platform/http/operation.js';
import { OneOf } from '#core/platform/http/shapes.js';
import { IsCode, IsIdOf, IsInstant, IsKnownAt, IsList } from '#core/platform/http/validators.js';
import { type Language, LANGUAGES } from '../queries/show-timeline.js';

/** What the calls on the log take. */

export class TimelineQuery extends PageQuery {
  /** As many as a page may have: a timeline is mostly read whole. */
  override limit: number = MAX_LIMIT;

  @AsOf()
  asOf?: Instant;

  @KnownWhen()
  knownAt?: KnownAt;

  @Described('Only what bears on this purpose.')
  @IsOptional()
  @IsCode()
  purpose?: string;

  @Described('Of the sentences.')
  @IsOptional()
  @IsIn(LANGUAGES)
  language: Language = 'en';

  @Described('Whether personal fields are shown; needs subjects:reveal, and is recorded.')
  @IsOptional()
  @IsBoolean()
  reveal: boolean = false;
}

export class CompareQuery {
  @Described('The one moment: what had happened then.')
  @IsInstant()
  from!: Instant;

  @Described('The other moment; absent: now.')
  @IsOptional()
  @IsInstant()
  to?: Instant;

  @Described('What the ledger knew at the one: a time, or `position:N`; absent: all it knows now.')
  @IsOptional()
  @IsKnownAt()
  fromKnownAt?: KnownAt;

  @Described('What the ledger knew at the other.')
  @IsOptional()
  @IsKnownAt()
  toKnownAt?: KnownAt;

  @Described('Of the sentences.')
  @IsOptional()
  @IsIn(LANGUAGES)
  language: Language = 'en';
}

const POSITION = /^(0|[1-9][0-9]{0,18})$/;
const malformedPosition = {
  context: { code: 'malformed-position', detail: 'must be the position of an event, or 0' },
};

class AfterQuery {
  @Described('The last position that was read; what comes after it is sent.')
  @IsOptional()
  @IsString()
  @Matches(POSITION, malformedPosition)
  after?: Position;
}

export class FeedQuery extends AfterQuery {
  @Described('Categories of streams, such as `subject`; absent: all.')
  @IsOptional()
  @IsList(1, 20)
  @Matches(/^[a-z][a-z_]{0,39}$/, {
    each: true,
    context: { code: 'malformed-category', detail: 'must be lower-case letters' },
  })
  category?: string[];
}

export class FollowQuery extends AfterQuery {
  @Described('Types of events, each by itself or several with commas; absent: all.')
  @IsOptional()
  @IsList(1, 100)
  @IsString({ each: true })
  types?: string[];

  @Described("Only events in this person's stream.")
  @IsOptional()
  @IsIdOf('sub')
  subject?: SubjectId;
}

class InTreeBody {
  @Described('Of the checkpoint whose tree it is to be in; absent: the newest.')
  @IsOptional()
  @IsCount(1)
  size?: number;
}

export class LeafBody extends InTreeBody {
  @Described('The number of the leaf, from 0.')
  @IsCount(0)
  index!: number;
}

export class PositionBody extends InTreeBody {
  @Described('Of the event in the log.')
  @IsString()
  @Matches(POSITION, malformedPosition)
  position!: Position;
}

export class EventBody extends InTreeBody {
  @Described('The event; ids are unique within a stream, therefore the person is named as well.')
  @IsIdOf('evt')
  eventId!: EventId;

  @Described('Whose stream it is in.')
  @IsIdOf('sub')
  subjectId!: SubjectId;
}

export class GrowthBody {
  @Described('The smaller size, such as that of a checkpoint which you kept.')
  @IsCount(1)
  from!: number;

  @Described('Of the checkpoint that the log is to have grown to; absent: the newest.')
  @IsOptional()
  @IsCount(1)
  to?: number;
}

@OneOf({
  index: () => LeafBody,
  position: () => PositionBody,
  eventId: () => EventBody,
  from: () => GrowthBody,
})
export abstract class ProofBody {}

function IsCount(least: number): PropertyDecorator {
  return applyDecorators(IsInt(), Min(least), Max(Number.MAX_SAFE_INTEGER)) as PropertyDecorator;
}
