import { Query } from '@nestjs/cqrs';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import type { PrivacyCentre } from '../domain/privacy-centre.js';

export type { Notice, PrivacyCentre, Purpose, Topic } from '../domain/privacy-centre.js';

/**
 * The catalogue as of the head, or as the ledger knew it at `knownAt`. Always from the log. `maxAge`: milliseconds by
 * which what is said of the head may be late; Infinity: as far as this process happens to have read.
 */
export class AskPrivacyCentre extends Query<PrivacyCentre> {
  constructor(
    readonly knownAt?: Position | KnownAt,
    readonly maxAge = 0,
  ) {
    super();
  }
}
