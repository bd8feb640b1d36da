import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { type ReceiptId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { invalid, Refused, type Violation } from '#core/kernel/refused.js';
import type { Occasion } from '#core/kernel/event.js';
import { notInTheFuture, occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Step, step } from '#core/ledger/ledger.js';
import { Config } from '#core/platform/config.js';
import { CLOCK } from '#core/platform/tokens.js';
import { DERIVATION, LOOKUP_INDEX } from '#core/vault/tokens.js';
import { derivedId } from '#core/vault/derivation.js';
import type { Derivation, LookupEntry, LookupIndex } from '#core/vault/port.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { stateBasis, violationsOf } from '#domains/consents/domain/legal-basis.js';
import { requirePurpose, requireSource } from '#domains/purposes/domain/purposes.vocabulary.js';
import {
  AskPrivacyCentre,
  type PrivacyCentre,
} from '#domains/purposes/queries/privacy-centre.message.js';
import { normalisedContact, referenceKind } from '../domain/contacts.vocabulary.js';
import {
  type Collection,
  compartmentOf,
  type ContactKind,
  type ExternalRef,
  registrationReference,
} from '../domain/subjects.events.js';
import { register, type Registration, subject } from '../domain/subjects.js';
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
    const { receiptId } = requested;
    const occasion = occasionOf(requested, input, this.clock);
    const own = derivedId(this.derivation, 'sub', 'subject', receiptId);
    // What was recorded before is answered first, whatever changed since, and brings nothing back.
    if (await this.isRecorded(own, receiptId)) return this.record(own, [], occasion, requested);

    const centre = await this.queries.execute(new AskPrivacyCentre());
    const { occurredAt } = occasion;
    const bases = [...(input.bases ?? []), ...defaultsFor(centre, input.bases ?? [])];
    const contactPoints = this.check(input, centre, occurredAt).map(({ kind, value }, n) => ({
      contactPointId: derivedId(this.derivation, 'cpt', 'contact-point', receiptId, String(n)),
      kind,
      value,
    }));
    const { name, language, externalRefs = [] } = input;
    const { origin, ...collection } = input.collection ?? { from: undefined };
    const subjectId = await this.reserved(own, externalRefs, receiptId);
    if (subjectId !== own && (await this.isRecorded(subjectId, receiptId)))
      return this.record(subjectId, [], occasion, requested);

    const registration = {
      subjectId,
      collection: collection.from === undefined ? undefined : (collection as Collection),
      origin,
      language,
      name,
      externalRefs: externalRefs.length > 0 ? externalRefs : undefined,
      contactPoints,
    };
    const entries = entriesOf(registration, receiptId);
    try {
      await this.index.add(entries);
      const steps = [
        step(subject, register(registration)),
        ...bases.map((basis) => step(personFacts, statement(centre, basis, occurredAt))),
      ];
      return await this.record(subjectId, steps, occasion, requested);
    } catch (error) {
      if (error instanceof Refused && error.kind !== 'unavailable')
        await this.letGo(subjectId, own, entries);
      throw error;
    }
  }

  private async record(
    subjectId: SubjectId,
    steps: readonly Step[],
    occasion: Occasion,
    requested: Requested,
  ): Promise<Registered> {
    const stream = streamOf('subject', subjectId);
    return { ...(await this.ledger.transact(stream, occasion, steps, requested)), subjectId };
  }

  private async isRecorded(subjectId: SubjectId, receiptId: ReceiptId): Promise<boolean> {
    const history = await this.ledger.read(streamOf('subject', subjectId));
    return history.some(({ interactionId }) => interactionId === receiptId);
  }

  /** Nothing was recorded: what was entered and reserved for it does not stay. */
  private async letGo(
    subjectId: SubjectId,
    own: SubjectId,
    entries: readonly LookupEntry[],
  ): Promise<void> {
    const references = new Set(entries.map(({ reference }) => reference));
    for (const reference of references) await this.index.remove(subjectId, reference);
    // Under its own id there can be nobody else.
    if (subjectId === own) await this.index.remove(own);
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
    attempt(() => requireSource(centre, input.source));
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
      const purpose = attempt(() => requirePurpose(centre, basis.purpose, `${pointer}/purpose`));
      if (purpose) {
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
   * The id to register under, with the references reserved for it. A reference belongs to one person only.
   * Where the first one is held by an id under which nobody was registered in the end, this registration
   * takes that id over.
   */
  private async reserved(
    own: SubjectId,
    refs: readonly ExternalRef[],
    receiptId: ReceiptId,
  ): Promise<SubjectId> {
    let subjectId = own;
    for (const [n, { system, id }] of refs.entries()) {
      const holder = (await this.index.reserve(referenceKind(system), id, subjectId)) as SubjectId;
      if (holder === subjectId) continue;
      const history = await this.ledger.read(streamOf('subject', holder));
      if (history.some(({ interactionId }) => interactionId === receiptId)) return holder;
      if (history.length === 0 && n === 0) {
        subjectId = holder;
        continue;
      }
      await this.index.remove(own);
      throw history.length > 0 ? alreadyRegistered(n, holder) : beingRegistered(n);
    }
    return subjectId;
  }
}

/** What people are found by; kept as keyed digests only. */
function entriesOf(
  { subjectId: owner, contactPoints, externalRefs = [] }: Registration,
  receiptId: ReceiptId,
): LookupEntry[] {
  return [
    ...contactPoints.map((point) => ({
      kind: point.kind,
      value: point.value,
      owner,
      reference: compartmentOf(point),
    })),
    ...externalRefs.map(({ system, id }) => ({
      kind: referenceKind(system),
      value: id,
      owner,
      reference: registrationReference(receiptId),
    })),
  ];
}

function alreadyRegistered(n: number, subjectId: SubjectId): Refused {
  const detail = 'belongs to a person who is registered';
  return new Refused(
    'conflict',
    'already-registered',
    'a person is registered with this reference',
    {
      evidence: { subjectId },
      violations: [{ pointer: `/externalRefs/${n}`, code: 'already-registered', detail }],
    },
  );
}

function beingRegistered(n: number): Refused {
  const detail = 'is reserved by a registration that has not been recorded';
  return new Refused(
    'conflict',
    'reference-reserved',
    'another registration holds this reference',
    {
      violations: [{ pointer: `/externalRefs/${n}`, code: 'reference-reserved', detail }],
    },
  );
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
