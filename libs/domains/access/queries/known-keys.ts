import { Injectable } from '@nestjs/common';
import { CategoryFold } from '#core/ledger/category-fold.js';
import { Ledger } from '#core/ledger/ledger.js';
import type { AccessEvent } from '../domain/access.events.js';
import { type ApiKeys, apiKeys } from '../domain/access.js';

/** All keys ever issued, in memory, as far as the log was read. One for the process. */
@Injectable()
export class KnownKeys {
  private readonly fold: CategoryFold<ApiKeys, AccessEvent>;

  constructor(ledger: Ledger) {
    this.fold = new CategoryFold(ledger, apiKeys, ['key']);
  }

  /** As the log was at most `maxAge` milliseconds ago; 0: as of its head now. */
  async asOf(maxAge: number): Promise<ApiKeys> {
    return (await this.fold.atHead(maxAge)).state;
  }
}
