import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { CLOCK, DATABASE } from '#core/platform/tokens.js';
import {
  type Database,
  type ExpiredConsent,
  expiredBetween,
} from '../projections/standing.questions.js';

export type { ExpiredConsent };

/** Consents whose time ended after `since` and is over now, in pages. */
export class AskExpiredConsents extends Query<{
  readonly until: Instant;
  readonly pages: AsyncIterable<readonly ExpiredConsent[]>;
}> {
  constructor(readonly since: Instant) {
    super();
  }
}

const PAGE = 500;

@QueryHandler(AskExpiredConsents)
export class AnswerExpiredConsents implements IQueryHandler<AskExpiredConsents> {
  constructor(
    @Inject(DATABASE) private readonly database: Database,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  execute({ since }: AskExpiredConsents) {
    const until = this.clock.now();
    return Promise.resolve({ until, pages: this.pages(since, until) });
  }

  private async *pages(since: Instant, until: Instant): AsyncGenerator<readonly ExpiredConsent[]> {
    for (let after = { subject: '', purpose: '' }; ;) {
      const page = await expiredBetween(this.database, since, until, after, PAGE);
      const last = page.at(-1);
      if (!last) return;
      yield page;
      after = last;
    }
  }
}
