import type { Instant } from '#core/kernel/instant.js';
import type {
  Channel,
  LegalBasis,
  PurposeDefinition,
  TopicDefinition,
} from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind } from '#domains/subjects/domain/subjects.events.js';
import type { Pointer } from './facts.js';
import type { PersonSpan } from './person.js';
import { type Code, inOrder } from './consents.vocabulary.js';

/** A purpose's rules as far as an answer depends on them. */
export type AnsweringRules = Pick<
  PurposeDefinition,
  'key' | 'marketing' | 'channels' | 'doubleOptIn'
> & {
  readonly retiredAt?: Instant;
};

export type AnsweringTopic = Pick<TopicDefinition, 'key' | 'unset'> & {
  readonly retiredAt?: Instant;
};

export interface Question {
  readonly rules: AnsweringRules;
  readonly channel?: Channel;
  readonly topic?: AnsweringTopic;
  readonly asOf: Instant;
}

/** How the person stands towards the purpose at the moment asked about: a row of the read model or a fold. */
export interface StandingThen {
  readonly code: Code;
  readonly reasons: readonly Code[];
  readonly basis?: LegalBasis;
  readonly since?: Instant;
  readonly event?: Pointer;
  readonly confirmedAt?: Instant;
}

export interface Answer {
  readonly allowed: boolean;
  readonly code: Code;
  readonly reasons: readonly Code[];
  readonly basis?: LegalBasis;
  readonly since?: Instant;
  readonly event?: Pointer;
}

/** What a channel needs in order to reach somebody; push needs nothing that we would know. */
const NEEDS: Readonly<Record<Channel, ContactKind | undefined>> = {
  email: 'email',
  sms: 'phone',
  phone: 'phone',
  post: 'post',
  push: undefined,
};

export function contactKindOf(channel: Channel): ContactKind | undefined {
  return NEEDS[channel];
}

/**
 * May we? Default deny: without a valid basis the answer is no. `person` is undefined for somebody who was
 * not yet registered at `asOf`, `standing` where nothing was said or set for the purpose by then.
 */
export function answer(
  person: PersonSpan | undefined,
  standing: StandingThen | undefined,
  { rules, channel, topic, asOf }: Question,
): Answer {
  if (!person) return no(['unknown-subject']);
  if (person.erased) return no(['erased']);

  const reasons = new Set<Code>(standing ? standing.reasons : whereNothingWasSaid(person, rules));
  if (rules.retiredAt !== undefined && asOf >= rules.retiredAt) reasons.add('no-basis');
  if (channel) {
    if (rules.marketing && !rules.channels.includes(channel) && onConsentIfAtAll(standing))
      reasons.add('channel-not-covered');
    const kind = contactKindOf(channel);
    if (kind) {
      const known = person.reachable[kind];
      if (known === undefined) reasons.add('no-contact-point');
      else if (
        rules.doubleOptIn &&
        standing?.basis === 'consent' &&
        !proved(known, person, standing)
      )
        reasons.add('confirmation-pending');
    }
    if (topic && !isOn(topic, channel, person, asOf)) reasons.add('topic-off');
  }

  if (reasons.size > 0) {
    const codes = inOrder(reasons);
    const ofStanding = standing && codes[0] === standing.code;
    return ofStanding ? { ...no(codes), since: standing.since, event: standing.event } : no(codes);
  }
  const { basis, since, event } = standing as StandingThen;
  return { allowed: true, code: 'allowed', reasons: [], basis, since, event };
}

/** Of several people who share a contact point: the answer that is no first, in the order of codes. */
export function mostRestrictive(answers: readonly Answer[]): Answer {
  const [code] = inOrder(answers.map((one) => one.code));
  return answers.find((one) => one.code === code) ?? no(['unknown-subject']);
}

export const unknownSubject: Answer = no(['unknown-subject']);
export const erasedSubject: Answer = no(['erased']);

function no(codes: readonly Code[]): Answer {
  return { allowed: false, code: codes[0] as Code, reasons: codes };
}

function whereNothingWasSaid(person: PersonSpan, rules: AnsweringRules): Code[] {
  const reasons: Code[] = ['no-basis'];
  if (rules.marketing && person.objectsToMarketing) reasons.unshift('objected');
  if (person.restricted === 'all' || person.restricted.includes(rules.key))
    reasons.unshift('restricted');
  return reasons;
}

/** Only a consent is narrowed to the channels that its purpose names. */
function onConsentIfAtAll(standing: StandingThen | undefined): boolean {
  return standing?.basis === undefined || standing.basis === 'consent';
}

/** A confirmation proves the contact points known by then; what came with the registration needs no proof. */
function proved(known: Instant, person: PersonSpan, standing: StandingThen): boolean {
  return (
    known <= person.registeredAt ||
    (standing.confirmedAt !== undefined && known <= standing.confirmedAt)
  );
}

function isOn(topic: AnsweringTopic, channel: Channel, person: PersonSpan, asOf: Instant): boolean {
  if (topic.retiredAt !== undefined && asOf >= topic.retiredAt) return false;
  return (
    (person.topics[topic.key]?.[channel] ?? (topic.unset === 'follows-purpose' ? 'on' : 'off')) ===
    'on'
  );
}
