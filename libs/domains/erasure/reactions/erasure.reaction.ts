import { Inject, Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import type { Reactor } from '#core/projector/reactor.js';
import { CompleteErasure, DestroyKeys } from '../commands/erase-subject.js';

/** The reason for which an erasure waits a little, as every erasure does. */
export const NOT_PASSED_YET = 'NotPassedYet';

/** Not everybody has passed the destruction yet; asked again a little later. */
class NotPassedYet extends Error {
  override readonly name = NOT_PASSED_YET;
}

/** Carries an approved erasure through to its certificate, across crashes at any step. */
@Injectable()
export class ErasureReaction implements Reactor {
  readonly name = 'erasure';
  readonly categories = ['subject'];

  concerns({ type }: Recorded): boolean {
    return type === 'ErasureApproved' || type === 'KeyDestroyed';
  }

  constructor(@Inject(CommandBus) private readonly commands: CommandBus) {}

  async react({ type, stream }: Recorded): Promise<void> {
    if (type === 'ErasureApproved') await this.commands.execute(new DestroyKeys(stream));
    if (type === 'KeyDestroyed') {
      const { completed } = await this.commands.execute(new CompleteErasure(stream));
      if (!completed) throw new NotPassedYet();
    }
  }
}
