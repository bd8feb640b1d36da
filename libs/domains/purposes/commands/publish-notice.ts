import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { type NoticeId, streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { acceptable, publishNotice } from '../domain/catalogue.js';
import { noticeViolations } from '../domain/catalogue-rules.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import type { NoticeWords } from '../domain/purposes.vocabulary.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { hashOf, latestFor, noticeIdOf, SOURCE } from './catalogue-streams.js';

export interface PublishedNotice extends Outcome {
  readonly noticeId: NoticeId;
}

/** Publishes the words of a notice in one language. They never change again. */
export class PublishNotice extends Command<PublishedNotice> {
  constructor(
    readonly words: NoticeWords,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(PublishNotice)
export class PublishNoticeHandler implements ICommandHandler<PublishNotice> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ words, requested }: PublishNotice): Promise<PublishedNotice> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const now = this.clock.now();
    const noticeId = noticeIdOf(this.digest, words.purpose, words.kind);
    const notice = { ...words, noticeId, hash: hashOf(words.text) };
    const outcome = await this.ledger.transact(
      streamOf('notice', noticeId),
      occasionOf(requested, { source: SOURCE }, this.clock),
      [
        step(privacyCentre, acceptable(noticeViolations(words, centre, latestFor(now)))),
        step(privacyCentre, publishNotice(notice, now)),
      ],
      requested,
    );
    return { ...outcome, noticeId };
  }
}
