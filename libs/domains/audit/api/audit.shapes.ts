import { IsBoolean, IsIn, IsOptional, IsString, Matches } from 'class-validator';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import { MAX_LIMIT, PageQuery } from '#core/platform/http/cursor.js';
import { Described } from '#core/platform/http/operation.js';
import { IsCode, IsIdOf, IsInstant, IsKnownAt, IsList } from '#core/platform/http/validators.js';
import { type Language, LANGUAGES } from '../queries/show-timeline.js';

/** What the calls on the log take. */

export class TimelineQuery extends PageQuery {
  /** As many as a page may have: a timeline is mostly read whole. */
  override limit: number = MAX_LIMIT;

  @Described('What had happened then.')
  @IsOptional()
  @IsInstant()
  asOf?: Instant;

  @Described('What the ledger knew then: a time, or `position:N`.')
  @IsOptional()
  @IsKnownAt()
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
