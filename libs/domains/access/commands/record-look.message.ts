import { Command } from '@nestjs/cqrs';
import type { Actor } from '#core/kernel/event.js';
import type { PersonalDataViewed } from '../domain/access.events.js';

/** What is about to be seen; ids, codes and moments only. */
export type Look = PersonalDataViewed['data'];

/** Who looks, and in the course of which request. */
export interface Reader {
  readonly actor: Actor;
  readonly correlationId: string;
}

/**
 * Records that somebody is about to see personal data. Wait for it before anything is released: where it
 * fails, the look must not happen.
 */
export class RecordLook extends Command<void> {
  constructor(
    readonly look: Look,
    readonly reader: Reader,
  ) {
    super();
  }
}
