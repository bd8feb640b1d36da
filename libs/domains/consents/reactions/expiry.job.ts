import { Inject, Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import { BEGINNING, type Instant } from '#core/kernel/instant.js';
import type { Job, Turn } from '#core/kernel/job.js';
import { AnnounceExpiry } from '../commands/announce-expiry.js';
import { AskExpiredConsents } from '../queries/expired-consents.js';

/** Announces, within a minute or so, every consent whose time is over. */
@Injectable()
export class ExpiryJob implements Job {
  readonly name = 'announce-expiry';
  readonly every = 30_000;
  /** Looked through by this process; the first run looks through everything, and finds what was announced. */
  private since: Instant = BEGINNING;

  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(QueryBus) private readonly queries: QueryBus,
  ) {}

  async run({ signal, mustBeOurs }: Turn): Promise<void> {
    const { until, pages } = await this.queries.execute(new AskExpiredConsents(this.since));
    for await (const page of pages)
      for (const { subject, purpose, grant, expiredAt } of page) {
        if (signal.aborted) return;
        await mustBeOurs();
        await this.commands.execute(
          new AnnounceExpiry(subject as SubjectId, purpose, grant, expiredAt),
        );
      }
    this.since = until;
  }
}
