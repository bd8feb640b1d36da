import { Inject } from '@nestjs/common';
import { Command, CommandBus, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { type ContactPointId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { Refused } from '#core/kernel/refused.js';
import { occasionOf, type Requested, sourceOf } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { Config } from '#core/platform/config.js';
import { CLOCK } from '#core/platform/tokens.js';
import { DERIVATION, LOOKUP_INDEX } from '#core/vault/tokens.js';
import { derivedId } from '#core/vault/derivation.js';
import {
  type Derivation,
  KeyDestroyed,
  type LookupEntry,
  type LookupIndex,
} from '#core/vault/port.js';
import { requireSource } from '#domains/purposes/domain/purposes.vocabulary.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { normalisedContact } from '../domain/contacts.vocabulary.js';
import { compartmentOf, type ContactKind } from '../domain/subjects.events.js';
import {
  addContactPoint,
  mustBeRegistered,
  removeContactPoint,
  subject,
} from '../domain/subjects.js';
import { ForgetContactPoint } from './forget-contact-point.js';

export interface ContactPointInput {
  readonly kind: ContactKind;
  readonly value: string;
  readonly source: string;
  readonly occurredAt?: Instant;
  readonly receivedAt?: Instant;
}

export class AddContactPoint extends Command<
  Outcome & { readonly contactPointId: ContactPointId }
> {
  constructor(
    readonly subjectId: SubjectId,
    readonly input: ContactPointInput,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(AddContactPoint)
export class AddContactPointHandler implements ICommandHandler<AddContactPoint> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(LOOKUP_INDEX) private readonly index: LookupIndex,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  async execute({ subjectId, input, requested }: AddContactPoint) {
    requireSource(await this.queries.execute(new AskPrivacyCentre()), input.source);
    const occasion = occasionOf(requested, input, this.clock);
    const { kind } = input;
    const region = this.config.defaultRegion;
    const value = normalisedContact(kind, input.value, { region, pointer: '/value' });
    const contactPointId = derivedId(
      this.derivation,
      'cpt',
      'contact-point',
      requested.receiptId,
      '0',
    );
    const point = { contactPointId, kind, value };
    const stream = streamOf('subject', subjectId);
    const entry = { kind, value, owner: subjectId, reference: compartmentOf(point) };
    const history = await this.ledger.read(stream);
    const recorded = history.some(({ interactionId }) => interactionId === requested.receiptId);
    // Before the fact, so that nobody who is on record can not be found; a repetition brings nothing back.
    if (!recorded) await this.makeFindable(entry);
    try {
      const steps = [step(subject, mustBeRegistered()), step(subject, addContactPoint(point))];
      const outcome = await this.ledger.transact(stream, occasion, steps, requested);
      return { ...outcome, contactPointId };
    } catch (error) {
      if (error instanceof Refused && error.kind !== 'unavailable')
        await this.index.remove(subjectId, entry.reference);
      throw error;
    }
  }

  private async makeFindable(entry: LookupEntry): Promise<void> {
    try {
      await this.index.add([entry]);
    } catch (error) {
      // Who was erased meanwhile is refused by the ledger, too, in words that say so.
      if (!(error instanceof KeyDestroyed)) throw error;
    }
  }
}

export class RemoveContactPoint extends Command<Outcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly contactPointId: ContactPointId,
    readonly requested: Requested,
  ) {
    super();
  }
}

/** The contact point is gone from now on; its value is forgotten for good, its key alone is destroyed. */
@CommandHandler(RemoveContactPoint)
export class RemoveContactPointHandler implements ICommandHandler<RemoveContactPoint> {
  constructor(
    private readonly ledger: Ledger,
    private readonly commands: CommandBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, contactPointId, requested }: RemoveContactPoint): Promise<Outcome> {
    const stream = streamOf('subject', subjectId);
    const outcome = await this.ledger.transact(
      stream,
      occasionOf(requested, { source: sourceOf(requested.actor) }, this.clock),
      [step(subject, mustBeRegistered()), step(subject, removeContactPoint(contactPointId))],
      requested,
    );
    await this.commands.execute(new ForgetContactPoint(subjectId, contactPointId));
    return outcome;
  }
}
