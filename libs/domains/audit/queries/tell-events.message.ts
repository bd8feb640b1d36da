import { Query } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import type { Position } from '#core/kernel/position.js';
import type { Words } from '../domain/words.js';

export type { Words };

/** What events say in words, in every language that a timeline can be told in; nothing personal is in them. */
export class TellEvents extends Query<readonly ToldEvent[]> {
  constructor(
    readonly events: readonly Recorded[],
    /** By which names of purposes and topics; absent: those of the head. */
    readonly knownAt?: Position,
    /** A purpose of the catalogue. */
    readonly purpose?: string,
  ) {
    super();
  }
}

/** In the order asked. */
export interface ToldEvent {
  readonly says: Words;
  /** Whether it bears on the purpose that was asked about; true where none was. */
  readonly bears: boolean;
}
