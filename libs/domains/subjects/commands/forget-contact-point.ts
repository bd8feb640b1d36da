import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { type ContactPointId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import { fold } from '#core/kernel/model.js';
import { Ledger } from '#core/ledger/ledger.js';
import type { LookupIndex, Vault } from '#core/vault/port.js';
import { LOOKUP_INDEX, VAULT } from '#core/vault/tokens.js';
import { compartmentOf } from '../domain/subjects.events.js';
import { subject } from '../domain/subjects.js';

/** Destroys the key of a contact point that was removed, and nothing else. May be repeated at any time. */
export class ForgetContactPoint extends Command<void> {
  constructor(
    readonly subjectId: SubjectId,
    readonly contactPointId: ContactPointId,
  ) {
    super();
  }
}

@CommandHandler(ForgetContactPoint)
export class ForgetContactPointHandler implements ICommandHandler<ForgetContactPoint> {
  constructor(
    private readonly ledger: Ledger,
    @Inject(LOOKUP_INDEX) private readonly index: LookupIndex,
    @Inject(VAULT) private readonly vault: Vault,
  ) {}

  async execute({ subjectId, contactPointId }: ForgetContactPoint): Promise<void> {
    const history = await this.ledger.read(streamOf('subject', subjectId));
    if (contactPointId in fold(subject, history).contactPoints) return;
    const compartment = compartmentOf({ contactPointId });
    await this.index.remove(subjectId, compartment);
    await this.vault.destroy(subjectId, compartment);
  }
}
