import { Query } from '@nestjs/cqrs';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import type { PrivacyCentre } from '../domain/privacy-centre.js';

export type { Notice, PrivacyCentre, Purpose, Topic } from '../domain/privacy-centre.js';

/** The catalogue as of the head, or as the ledger knew it at `knownAt`. Always from the log. */
export class AskPrivacyCentre extends Query<PrivacyCentre> {
  constructor(readonly knownAt?: Position | KnownAt) {
    super();
  }
}
