import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { type EventId, idFrom, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { Refused } from '#core/kernel/refused.js';
import { occasionOf } from '#core/kernel/requested.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { type Digest, DIGEST } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { announceExpiry } from '../domain/choices.js';
import { personFacts } from '../domain/facts.js';

/**
 * Tells whoever follows the log that a consent reached the end of its time. Once for each consent, and not
 * where it was over before the ledger learned of it: then nothing changed for anybody.
 */
export class AnnounceExpiry extends Command<void> {
  constructor(
    readonly subjectId: SubjectId,
    readonly purpose: string,
    readonly grant: EventId,
    readonly expiredAt: Instant,
  ) {
    super();
  }
}

@CommandHandler(AnnounceExpiry)
export class AnnounceExpiryHandler implements ICommandHandler<AnnounceExpiry> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, purpose, grant, expiredAt }: AnnounceExpiry): Promise<void> {
    const stream = streamOf('subject', subjectId);
    const given = (await this.ledger.read(stream)).find(({ id }) => id === grant);
    if (!given || given.recordedAt >= expiredAt) return;
    const requested = {
      actor: { kind: 'system', id: 'expiry' },
      receiptId: idFrom('rcp', this.digest.digest('announce-expiry', grant, expiredAt), 8),
      correlationId: 'expiry',
      bulk: true,
    } as const;
    const occasion = occasionOf(requested, { source: 'api' }, this.clock);
    const decide = announceExpiry(purpose, grant, expiredAt);
    try {
      await this.ledger.transact(stream, occasion, [step(personFacts, decide)], requested);
    } catch (error) {
      // Somebody who is forgotten has no consents to announce.
      if (!(error instanceof Refused) || error.kind !== 'gone') throw error;
    }
  }
}
