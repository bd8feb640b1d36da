import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { CategoryFold } from '#core/ledger/category-fold.js';
import { resolveKnownAt } from '#core/ledger/known-at.js';
import { Ledger } from '#core/ledger/ledger.js';
import { privacyCentre, type PrivacyCentre } from '../domain/privacy-centre.js';
import type { PurposeEvent } from '../domain/purposes.events.js';
import { AskPrivacyCentre } from './privacy-centre.message.js';

@QueryHandler(AskPrivacyCentre)
export class AnswerPrivacyCentre implements IQueryHandler<AskPrivacyCentre> {
  private readonly fold: CategoryFold<PrivacyCentre, PurposeEvent>;

  constructor(private readonly ledger: Ledger) {
    this.fold = new CategoryFold(ledger, privacyCentre, ['purpose', 'notice', 'topic', 'settings']);
  }

  async execute({ knownAt, maxAge }: AskPrivacyCentre): Promise<PrivacyCentre> {
    const position =
      typeof knownAt === 'object' ? await resolveKnownAt(this.ledger, knownAt) : knownAt;
    return position === undefined ? (await this.fold.atHead(maxAge)).state : this.fold.at(position);
  }
}
