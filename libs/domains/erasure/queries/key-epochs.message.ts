import { Query } from '@nestjs/cqrs';
import type { Instant } from '#core/kernel/instant.js';

/** Which key epochs are closed, and since when: no copy of a key that was destroyed in one can be read any more. */
export class AskKeyEpochs extends Query<ReadonlyMap<number, Instant>> {}
