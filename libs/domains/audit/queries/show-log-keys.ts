import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { KeyPeriod } from '#core/proof/published.js';

/** What the log is called, and the keys that sign or signed its checkpoints, oldest first. */
export interface LogKeys {
  readonly origin: string;
  readonly keys: readonly KeyPeriod[];
}

export class ShowLogKeys extends Query<LogKeys> {}

@QueryHandler(ShowLogKeys)
export class ShowLogKeysHandler implements IQueryHandler<ShowLogKeys> {
  constructor(private readonly log: ProvenLog) {}

  async execute(): Promise<LogKeys> {
    return { origin: this.log.origin, keys: await this.log.keys() };
  }
}
