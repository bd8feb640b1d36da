import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import type { DeclaredBy, Fact } from '#core/kernel/event.js';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { invalid, Refused, type Violation } from '#core/kernel/refused.js';
import { Ledger, type Outcome, step, type Step } from '#core/ledger/ledger.js';
import { notInTheFuture, occasionOf, type Requested } from '#core/kernel/requested.js';
import { CLOCK } from '#core/platform/tokens.js';
import { switches, switchTopic } from '#domains/preferences/domain/preferences.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import {
  noticeShown,
  requirePurpose,
  requireSource,
} from '#domains/purposes/domain/purposes.vocabulary.js';
import {
  AskPrivacyCentre,
  type PrivacyCentre,
  type Purpose,
} from '#domains/purposes/queries/privacy-centre.message.js';
import { mustBeRegistered, subject } from '#domains/subjects/domain/subjects.js';
import {
  confirmConsent,
  type Given,
  giveConsent,
  raiseObjection,
  refuseConsent,
  renewConsent,
  takeBackObjection,
  withdrawConsent,
} from '../domain/choices.js';
import type { Confirmation, ObjectionScope, Testimony } from '../domain/consents.events.js';
import { personFacts } from '../domain/facts.js';
import { expiryOf } from '../domain/legal-basis.js';

export interface PurposeChoice {
  readonly purpose: string;
  readonly decision: 'give' | 'confirm' | 'refuse' | 'withdraw' | 'renew';
  readonly noticeVersion?: number;
  readonly confirmation?: Confirmation;
}

export interface TopicChoice {
  readonly topic: string;
  readonly channel: Channel;
  readonly decision: 'on' | 'off';
}

export interface ObjectionChoice {
  /** `marketing` for all direct marketing, or a purpose's key. */
  readonly objection: string;
  readonly decision: 'raise' | 'withdraw';
}

export type Choice = PurposeChoice | TopicChoice | ObjectionChoice;

/** One interaction with a person: what they declared, at one moment, in one place. */
export interface Interaction {
  readonly occurredAt?: Instant;
  readonly receivedAt?: Instant;
  readonly source: string;
  readonly collectionPoint?: string;
  readonly language?: string;
  readonly declaredBy?: DeclaredBy;
  readonly evidence?: Readonly<Record<string, unknown>>;
  readonly comment?: string;
  readonly choices: readonly Choice[];
}

/** Records all choices of one interaction, or none. */
export class RecordChoices extends Command<Outcome> {
  constructor(
    readonly subjectId: SubjectId,
    readonly interaction: Interaction,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(RecordChoices)
export class RecordChoicesHandler implements ICommandHandler<RecordChoices> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, interaction, requested }: RecordChoices): Promise<Outcome> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const occasion = occasionOf(requested, interaction, this.clock);
    const stream = streamOf('subject', subjectId);
    const { choices, collectionPoint, evidence, comment } = interaction;
    const language = choices.some(namesNotice)
      ? (interaction.language ?? fold(subject, await this.ledger.read(stream)).language)
      : undefined;

    const violations: Violation[] = [];
    const attempt = (check: () => void): void => {
      try {
        check();
      } catch (error) {
        if (!(error instanceof Refused) || !error.more.violations) throw error;
        violations.push(...error.more.violations);
      }
    };
    attempt(() => requireSource(centre, interaction.source));
    violations.push(...doubles(choices));
    const steps: Step[] = [step(subject, mustBeRegistered())];
    const testimony = { collectionPoint, evidence, comment };
    const { occurredAt: at } = occasion;
    choices.forEach((choice, index) =>
      attempt(() => {
        const pointer = `/choices/${index}`;
        steps.push(this.stepFor(choice, { centre, at, pointer, testimony, language }));
      }),
    );
    // Inside a step, so that a repetition of what was recorded before is answered first, whatever changed since.
    const [first, ...more] = violations;
    if (first) steps.push(step(personFacts, () => refuse(invalid(first, ...more))));
    return this.ledger.transact(stream, occasion, steps, { ...requested, finish: testifyOnce });
  }

  private stepFor(choice: Choice, said: Said): Step {
    const { centre, at, pointer, testimony } = said;
    if ('topic' in choice) {
      const { topic, channel, decision } = choice;
      if (!centre.topics[topic])
        throw invalid({
          pointer: `${pointer}/topic`,
          code: 'unknown-topic',
          detail: 'there is no such topic',
        });
      return step(switches, switchTopic({ topic, channel, on: decision === 'on', at, testimony }));
    }
    if ('objection' in choice) {
      const { objection, decision } = choice;
      const to: ObjectionScope =
        objection === 'marketing'
          ? { scope: 'marketing' }
          : {
              scope: 'purpose',
              purpose: requirePurpose(centre, objection, `${pointer}/objection`).key,
            };
      const decide = decision === 'raise' ? raiseObjection : takeBackObjection;
      return step(personFacts, decide({ to, at, testimony }));
    }
    const purpose = requirePurpose(centre, choice.purpose, `${pointer}/purpose`);
    const common = { purpose: purpose.key, purposeRevision: purpose.revision, at, testimony };
    switch (choice.decision) {
      case 'give':
        return step(
          personFacts,
          giveConsent({ ...common, ...this.grantOf(choice, purpose, said) }),
        );
      case 'confirm': {
        withoutNotice(choice, pointer);
        const confirmation = this.confirmationOf(choice, said);
        if (!confirmation)
          throw invalid({
            pointer: `${pointer}/confirmation`,
            code: 'required',
            detail: 'a confirmation says how and when it was given',
          });
        const expiresAt = expiryOf(purpose.expiresAfter, confirmation.at);
        return step(personFacts, confirmConsent({ ...common, confirmation, expiresAt }));
      }
      case 'refuse':
        notConfirmed(choice, pointer);
        return step(personFacts, refuseConsent({ ...common, ...this.noticeOf(choice, said) }));
      case 'withdraw':
        notConfirmed(choice, pointer);
        withoutNotice(choice, pointer);
        return step(personFacts, withdrawConsent(common));
      case 'renew': {
        notConfirmed(choice, pointer);
        openAt(purpose, at, pointer);
        const expiresAt = expiryOf(purpose.expiresAfter, at);
        return step(
          personFacts,
          renewConsent({ ...common, ...this.noticeOf(choice, said), expiresAt }),
        );
      }
    }
  }

  private grantOf(
    choice: PurposeChoice,
    purpose: Purpose,
    said: Said,
  ): Pick<Given, 'notice' | 'noticeEvidence' | 'confirmation' | 'expiresAt'> {
    const { at, pointer } = said;
    if (!purpose.allowedBases.includes('consent'))
      throw invalid({
        pointer: `${pointer}/purpose`,
        code: 'basis-not-allowed',
        detail: `this purpose may rest on ${purpose.allowedBases.join(', ')}`,
      });
    openAt(purpose, at, pointer);
    const confirmation = this.confirmationOf(choice, said);
    if (confirmation && confirmation.at < at)
      throw invalid({
        pointer: `${pointer}/confirmation/at`,
        code: 'confirmation-before-grant',
        detail: 'a grant is confirmed when it is given, or later',
      });
    const { notice, noticeEvidence } = this.noticeOf(choice, said);
    const countsFrom = purpose.doubleOptIn && confirmation ? confirmation.at : at;
    return {
      notice,
      noticeEvidence,
      confirmation,
      expiresAt: expiryOf(purpose.expiresAfter, countsFrom),
    };
  }

  private confirmationOf(
    { confirmation }: PurposeChoice,
    { pointer }: Said,
  ): Confirmation | undefined {
    notInTheFuture(confirmation?.at, `${pointer}/confirmation/at`, this.clock);
    return confirmation;
  }

  /** What the named notice proves; a version that was never published is refused. */
  private noticeOf(
    { purpose, noticeVersion }: PurposeChoice,
    { centre, language, at, pointer }: Said,
  ): Pick<Given, 'notice' | 'noticeEvidence'> {
    if (noticeVersion === undefined) return { noticeEvidence: 'none' };
    const shown = noticeShown(centre, purpose, noticeVersion, language ?? 'und', at);
    if (!shown.found)
      throw invalid({
        pointer: `${pointer}/noticeVersion`,
        code: 'unknown-notice-version',
        detail: 'this version of the notice was published in no language',
      });
    const { noticeId: id, version, language: inLanguage, hash } = shown.notice;
    return {
      notice: { id, version, language: inLanguage, hash },
      noticeEvidence: shown.complete ? 'complete' : 'incomplete',
    };
  }
}

/** What proves an interaction is kept once, with the first of its facts that is new. */
function testifyOnce(facts: readonly Fact[]): readonly Fact[] {
  return facts.map((fact, index) => {
    if (index === 0) return fact;
    const { evidence: _, comment: _comment, ...data } = fact.data as Testimony;
    return { ...fact, data };
  });
}

function refuse(refused: Refused): never {
  throw refused;
}

interface Said {
  readonly centre: PrivacyCentre;
  readonly at: Instant;
  readonly pointer: string;
  readonly testimony: Testimony;
  readonly language?: string;
}

function namesNotice(choice: Choice): boolean {
  return 'purpose' in choice && choice.noticeVersion !== undefined;
}

/** The same purpose, topic on a channel, or objection named twice contradicts itself. */
function doubles(choices: readonly Choice[]): Violation[] {
  const seen = new Set<string>();
  return choices.flatMap((choice, index) => {
    const [field, key] =
      'topic' in choice
        ? ['topic', `topic ${choice.topic} ${choice.channel}`]
        : 'objection' in choice
          ? ['objection', `objection ${choice.objection}`]
          : ['purpose', `purpose ${choice.purpose}`];
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const detail = `this ${field} is named twice in one interaction`;
    return [{ pointer: `/choices/${index}/${field}`, code: 'contradictory-choices', detail }];
  });
}

function notConfirmed({ confirmation, decision }: PurposeChoice, pointer: string): void {
  if (confirmation)
    throw invalid({
      pointer: `${pointer}/confirmation`,
      code: 'not-of-decision',
      detail: `nothing confirms a choice to ${decision}`,
    });
}

function withoutNotice({ noticeVersion, decision }: PurposeChoice, pointer: string): void {
  if (noticeVersion !== undefined)
    throw invalid({
      pointer: `${pointer}/noticeVersion`,
      code: 'not-of-decision',
      detail: `no notice is named to ${decision}`,
    });
}

function openAt({ retiredAt }: Purpose, at: Instant, pointer: string): void {
  if (retiredAt !== undefined && retiredAt <= at)
    throw invalid({
      pointer: `${pointer}/purpose`,
      code: 'purpose-retired',
      detail: 'the purpose is retired',
    });
}
