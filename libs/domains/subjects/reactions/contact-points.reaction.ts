import { Inject, Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, type SubjectId } from '#core/kernel/ids.js';
import type { Reactor } from '#core/projector/reactor.js';
import { ForgetContactPoint } from '../commands/forget-contact-point.js';
import type { ContactPointRemoved } from '../domain/subjects.events.js';

/** Forgets removed contact points, also those whose removal was cut short before their key was gone. */
@Injectable()
export class ContactPointsReaction implements Reactor {
  readonly name = 'contact-points';
  readonly categories = ['subject'];

  concerns({ type }: Recorded): boolean {
    return type === 'ContactPointRemoved';
  }

  constructor(@Inject(CommandBus) private readonly commands: CommandBus) {}

  async react(event: Recorded): Promise<void> {
    if (event.type !== 'ContactPointRemoved') return;
    const { stream, data } = event as Recorded<ContactPointRemoved>;
    const subjectId = ownerOf(stream) as SubjectId;
    await this.commands.execute(new ForgetContactPoint(subjectId, data.contactPointId));
  }
}
