import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { type KnownAt, knownAtOf } from '#core/kernel/moment.js';
import { earlierOf, type Position, START } from '#core/kernel/position.js';
import { invalid } from '#core/kernel/refused.js';
import { resolveKnownAt } from '#core/ledger/known-at.js';
import { Ledger } from '#core/ledger/ledger.js';
import { workAhead } from '#core/platform/ahead.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { CLOCK, LOOKUPS } from '#core/platform/tokens.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import { questionViolations } from '#domains/purposes/domain/purposes.vocabulary.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import {
  type AudienceAsked,
  audienceSection,
  rangesOfPeople,
  type Database,
  standingPosition,
} from '../projections/standing.questions.js';

export interface AudienceQuestion {
  readonly purpose: string;
  readonly topic?: string;
  readonly channel?: Channel;
  readonly asOf?: Instant;
  readonly knownAt?: KnownAt;
}

/** Everyone for whom a purpose is allowed, at one moment as known at one position. */
export interface Audience {
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  readonly position: Position;
  /** Everybody in the order of ids, some thousands at a time. */
  sections(): AsyncIterable<AudienceSection>;
}

export interface AudienceSection {
  readonly allowed: readonly SubjectId[];
  /** How many are not, by the code that says why. */
  readonly excluded: ReadonlyMap<string, number>;
}

export class AskAudience extends Query<Audience> {
  constructor(
    readonly question: AudienceQuestion,
    readonly behindErasure: boolean,
    readonly consistentAt?: Position,
  ) {
    super();
  }
}

/** Rows of people looked at together. */
const SECTION = 20_000;

@QueryHandler(AskAudience)
export class AnswerAudience implements IQueryHandler<AskAudience> {
  constructor(
    @Inject(LOOKUPS) private readonly lookups: Database,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
  ) {}

  async execute({ question, behindErasure, consistentAt }: AskAudience): Promise<Audience> {
    if (consistentAt) await this.readModels.waitFor(consistentAt, ['standing']);
    await this.readModels.mustBeFresh(['standing']);
    const [first, ...more] = questionViolations(
      await this.queries.execute(new AskPrivacyCentre()),
      question,
    );
    if (first) throw invalid(first, ...more);

    const asOf = question.asOf ?? this.clock.now();
    const known = await this.knownAtOf(question);
    const now = await standingPosition(this.lookups);
    const position = known ? earlierOf(known, now) : now;
    const knownAt = knownAtOf(question.knownAt, position);
    const centre = await this.queries.execute(new AskPrivacyCentre(position));
    const rules = centre.purposes[question.purpose];
    const topic = question.topic === undefined ? undefined : centre.topics[question.topic];
    // A purpose or topic not yet known then: nobody is in its audience, nor left out of it.
    if (!rules || (question.topic !== undefined && !topic))
      return { asOf, knownAt, position, sections: nobody };

    const { lookups } = this;
    const { channel } = question;
    const asked: AudienceAsked = { rules, topic, channel, asOf, knownAt: position, behindErasure };
    return {
      asOf,
      knownAt,
      position,
      sections: () =>
        workAhead(rangesOfPeople(lookups, SECTION), async (range) => {
          const { allowed, excluded } = await lookups
            .transaction()
            .execute((tx) => audienceSection(tx, asked, range));
          return { allowed: allowed as SubjectId[], excluded };
        }),
    };
  }

  /** What the ledger knew then must be in the read model before it answers: never beyond the head. */
  private async knownAtOf({ knownAt }: AudienceQuestion): Promise<Position | undefined> {
    const known = await resolveKnownAt(this.ledger, knownAt);
    if (known === undefined) return undefined;
    const upTo = earlierOf(known, (await this.ledger.head())?.position ?? START);
    await this.readModels.waitFor(upTo, ['standing']);
    return upTo;
  }
}

async function* nobody(): AsyncGenerator<AudienceSection> {
  // Empty.
}
