import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { type ReceiptId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { invalid, Refused, type Violation } from '#core/kernel/refused.js';
import { notInTheFuture, occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, step } from '#core/ledger/ledger.js';
import { Config } from '#core/platform/config.js';
import { normalisedContact, referenceKind } from '#core/platform/contact-values.js';
import { CLOCK } from '#core/platform/tokens.js';
import { DERIVATION, LOOKUP_INDEX } from '#core/vault/tokens.js';
import { derivedId } from '#core/vault/derivation.js';
import { type Derivation, KeyDestroyed, type LookupIndex } from '#core/vault/port.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { stateBasis, violationsOf } from '#domains/consents/domain/legal-basis.js';
import {
  AskPrivacyCentre,
  type PrivacyCentre,
} from '#domains/purposes/queries/privacy-centre.message.js';
import {
  type Collection,
  compartmentOf,
  type ContactKind,
  type ExternalRef,
} from '../domain/subjects.events.js';
import { type ContactPoint, register, subject } from '../domain/subjects.js';
import {
  type Registered,
  RegisterSubject,
  type RegistrationBasis,
  type RegistrationInput,
} from './register-subject.message.js';

@CommandHandler(RegisterSubject)
export class RegisterSubjectHandler implements ICommandHandler<RegisterSubject> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(LOOKUP_INDEX) private readonly index: LookupIndex,
    @Inject(DERIVATION) private readonly derivation: Derivation,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  async execute({ input, requested }: RegisterSubject): Promise<Registered> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const occasion = occasionOf(requested, input, this.clock);
    const bases = [...(input.bases ?? []), ...defaultsFor(centre, input.bases ?? [])];
    const contacts = this.check(input, centre, occasion.occurredAt);

    const { receiptId } = requested;
    const contactPoints = contacts.map(({ kind, value }, n) => ({
      contactPointId: derivedId(this.derivation, 'cpt', 'contact-point', receiptId, String(n)),
      kind,
      value,
    }));
    const { name, language, externalRefs } = input;
    const subjectId = await this.reachable(contactPoints, externalRefs ?? [], requested);
    const { origin, ...collection } = input.collection ?? { from: undefined };
    const registration = {
      subjectId,
      collection: collection.from === undefined ? undefined : (collection as Collection),
      origin,
      language,
      name,
      externalRefs,
      contactPoints,
    };
    const outcome = await this.ledger.transact(
      streamOf('subject', subjectId),
      occasion,
      [
        step(subject, register(registration)),
        ...bases.map((basis) => step(personFacts, statement(centre, basis, occasion.occurredAt))),
      ],
      requested,
    );
    return { ...outcome, subjectId };
  }

  /**
   * Makes the person known by their contact points and references, before they are registered. A repetition
   * after they were erased, or a contact point was removed, brings nothing back.
   */
  private async reachable(
    contactPoints: readonly ContactPoint[],
    refs: readonly ExternalRef[],
    requested: Requested,
  ): Promise<SubjectId> {
    try {
      const owner = await this.idFor(refs, requested);
      await this.index.add([
        ...contactPoints.map((point) => ({
          kind: point.kind,
          value: point.value,
          owner,
          reference: compartmentOf(point),
        })),
        ...refs.map(({ system, id }) => ({
          kind: referenceKind(system),
          value: id,
          owner,
          reference: 'identity',
        })),
      ]);
      return owner;
    } catch (error) {
      if (!(error instanceof KeyDestroyed) && !(error instanceof Refused)) throw error;
      const { receiptId } = requested;
      const owner =
        error instanceof KeyDestroyed
          ? (error.keyOwner.owner as SubjectId)
          : this.idFrom(receiptId);
      const history = await this.ledger.read(streamOf('subject', owner));
      if (history.some(({ interactionId }) => interactionId === receiptId)) return owner;
      throw error;
    }
  }

  /** All that is not acceptable in the input at once; the contact points in their one spelling. */
  private check(
    input: RegistrationInput,
    centre: PrivacyCentre,
    occurredAt: Instant,
  ): { readonly kind: ContactKind; readonly value: string }[] {
    const violations: Violation[] = [];
    const attempt = <T>(read: () => T): T | undefined => {
      try {
        return read();
      } catch (error) {
        if (!(error instanceof Refused) || !error.more.violations) throw error;
        violations.push(...error.more.violations);
        return undefined;
      }
    };
    if (!centre.sources.includes(input.source))
      violations.push({
        pointer: '/source',
        code: 'unknown-source',
        detail: 'there is no such source',
      });
    attempt(() =>
      notInTheFuture(input.collection?.collectedAt, '/collection/collectedAt', this.clock),
    );
    const contacts = (input.contactPoints ?? []).map(({ kind, value }, n) => {
      const pointer = `/contactPoints/${n}/value`;
      const region = this.config.defaultRegion;
      return {
        kind,
        value: attempt(() => normalisedContact(kind, value, { region, pointer })) ?? '',
      };
    });
    const seen = new Set<string>();
    (input.bases ?? []).forEach((basis, n) => {
      const pointer = `/bases/${n}`;
      attempt(() => notInTheFuture(basis.occurredAt, `${pointer}/occurredAt`, this.clock));
      const purpose = centre.purposes[basis.purpose];
      if (!purpose)
        violations.push({
          pointer: `${pointer}/purpose`,
          code: 'unknown-purpose',
          detail: 'there is no such purpose',
        });
      else {
        const at = basis.occurredAt ?? occurredAt;
        for (const found of violationsOf({
          ...basis,
          purpose,
          at,
          testimony: { comment: basis.comment },
        }))
          violations.push({ ...found, pointer: pointer + found.pointer });
        if (!purpose.allowedBases.includes(basis.basis) && basis.basis !== 'consent')
          violations.push({
            pointer: `${pointer}/basis`,
            code: 'basis-not-allowed',
            detail: `this purpose may rest on ${purpose.allowedBases.join(', ')}`,
          });
      }
      const key = `${basis.purpose} ${basis.basis}`;
      if (seen.has(key))
        violations.push({
          pointer: `${pointer}/basis`,
          code: 'contradictory-bases',
          detail: 'this basis is named twice for this purpose',
        });
      seen.add(key);
    });
    const [first, ...more] = violations;
    if (first) throw invalid(first, ...more);
    return contacts;
  }

  /**
   * The id to register under: derived from the receipt, so that a retry registers nobody twice. An
   * external reference belongs to one person only. Where it is held by an id under which nobody was
   * registered in the end, this registration takes that id over.
   */
  private async idFor(refs: readonly ExternalRef[], { receiptId }: Requested): Promise<SubjectId> {
    let subjectId = this.idFrom(receiptId);
    for (const [n, { system, id }] of refs.entries()) {
      const holder = (await this.index.reserve(referenceKind(system), id, subjectId)) as SubjectId;
      if (holder === subjectId) continue;
      const [first, ...others] = await this.ledger.read(streamOf('subject', holder));
      if (!first && n === 0) {
        subjectId = holder;
        continue;
      }
      if (first && [first, ...others].some((event) => event.interactionId === receiptId))
        return holder;
      throw new Refused(
        'conflict',
        'already-registered',
        'a person is registered with this reference',
        {
          evidence: { subjectId: holder },
          violations: [
            {
              pointer: `/externalRefs/${n}`,
              code: 'already-registered',
              detail: 'belongs to a person who is registered',
            },
          ],
        },
      );
    }
    return subjectId;
  }

  private idFrom(receiptId: ReceiptId): SubjectId {
    return derivedId(this.derivation, 'sub', 'subject', receiptId);
  }
}

function defaultsFor(
  centre: PrivacyCentre,
  given: readonly RegistrationBasis[],
): RegistrationBasis[] {
  return centre.defaultBases.filter(
    ({ purpose }) => !given.some((basis) => basis.purpose === purpose),
  );
}

function statement(centre: PrivacyCentre, basis: RegistrationBasis, occurredAt: Instant) {
  const { purpose: key, comment, occurredAt: own, ...said } = basis;
  const purpose = centre.purposes[key];
  if (!purpose) throw new Error(`the default basis names ${key}, which is no purpose`);
  return stateBasis({ ...said, purpose, at: own ?? occurredAt, testimony: { comment } });
}
