import type { Fact } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { invalid, Refused, type Violation } from '#core/kernel/refused.js';
import {
  definitionOf,
  type Notice,
  type PrivacyCentre,
  type Purpose,
  topicDefinitionOf,
  type Topic,
} from './privacy-centre.js';
import type {
  Controller,
  DefaultBasis,
  PurposeDefinition,
  PurposeEvent,
  PurposeId,
  TopicDefinition,
  TopicId,
} from './purposes.events.js';
import { same } from './same.js';

/** What is decided about the catalogue. Each decision is taken on the one stream that it writes to. */
type Decide = Decision<PrivacyCentre, PurposeEvent>;

/** Refuses where something was found wrong, and decides nothing else. */
export function acceptable(violations: readonly Violation[]): Decide {
  return () => {
    const [first, ...more] = violations;
    if (first) throw invalid(first, ...more);
    return [];
  };
}

/** That there is no such thing says more than what is wrong with its new definition. */
export function mustBeKnown(what: 'purposes' | 'topics', key: string): Decide {
  return (state) => {
    if (!state[what][key]) return what === 'purposes' ? unknownPurpose() : unknownTopic();
    return [];
  };
}

/** A new purpose, or nothing where it stands exactly so. */
export function definePurpose(purposeId: PurposeId, definition: PurposeDefinition): Decide {
  return ({ purposes }) => {
    const known = purposes[definition.key];
    if (!known) return [{ type: 'PurposeDefined', data: { purposeId, ...definition } }];
    if (same(definition, definitionOf(known))) return [];
    throw new Refused(
      'conflict',
      'purpose-exists',
      'a purpose with this key is defined otherwise; revise it instead',
      { evidence: { purposeId: known.purposeId } },
    );
  };
}

/** A new definition for a purpose that there is, or nothing where it stands exactly so. */
export function revisePurpose(definition: PurposeDefinition): Decide {
  return ({ purposes }) => {
    const known = purposes[definition.key] ?? unknownPurpose();
    if (same(definition, definitionOf(known))) return [];
    mustNotBeRetired('purpose', known);
    return [{ type: 'PurposeRevised', data: { purposeId: known.purposeId, ...definition } }];
  };
}

/** A purpose as a file gives it: defined or revised, whichever it needs. */
export function applyPurpose(purposeId: PurposeId, definition: PurposeDefinition): Decide {
  return (state) =>
    state.purposes[definition.key]
      ? revisePurpose(definition)(state)
      : definePurpose(purposeId, definition)(state);
}

/** Ends a purpose at `at`, or now. An end that was set can be brought forward, never put off. */
export function retirePurpose(key: string, at: Instant | undefined, now: Instant): Decide {
  return ({ purposes }) => {
    const { purposeId, retiredAt } = purposes[key] ?? unknownPurpose();
    const occurredAt = retirement('purpose', retiredAt, at, now);
    return occurredAt ? [{ type: 'PurposeRetired', occurredAt, data: { purposeId, key } }] : [];
  };
}

/** A notice as it is to be published. Without a time of its own: now. */
export type NoticeToPublish = Omit<Notice, 'publishedAt'> & { readonly publishedAt?: Instant };

/** Words once published never change, nor when: the same again is nothing, anything else is refused. */
export function publishNotice(notice: NoticeToPublish, now: Instant): Decide {
  return ({ notices }) => {
    const known = notices.find(
      ({ version, language }) => version === notice.version && language === notice.language,
    );
    if (!known) {
      const publishedAt = notice.publishedAt ?? now;
      const data = { ...notice, publishedAt };
      return [{ type: 'NoticePublished', occurredAt: publishedAt, data }];
    }
    if (isRepetition(known, notice)) return [];
    throw new Refused('conflict', 'notice-immutable', NOTICE_IMMUTABLE, {
      evidence: {
        published: known.hash,
        publishedAt: known.publishedAt,
        given: notice.hash,
      },
    });
  };
}

export const NOTICE_IMMUTABLE =
  'this version is published in this language with other words, or at another time; publish a new version';

/** Whether `notice` says of a published version what is on record. */
export function isRepetition(
  known: Notice,
  { text, publishedAt }: Pick<NoticeToPublish, 'text' | 'publishedAt'>,
): boolean {
  return known.text === text && (publishedAt === undefined || publishedAt === known.publishedAt);
}

/** A new topic, or nothing where it stands exactly so. */
export function defineTopic(topicId: TopicId, definition: TopicDefinition): Decide {
  return ({ topics }) => {
    const known = topics[definition.key];
    if (!known) return [{ type: 'TopicDefined', data: { topicId, ...definition } }];
    if (same(definition, topicDefinitionOf(known))) return [];
    throw new Refused(
      'conflict',
      'topic-exists',
      'a topic with this key is defined otherwise; revise it instead',
      { evidence: { topicId: known.topicId } },
    );
  };
}

/** A new definition for a topic that there is. It stays with its purpose: choices were made under it. */
export function reviseTopic(definition: TopicDefinition): Decide {
  return ({ topics }): readonly Fact<PurposeEvent>[] => {
    const known = topics[definition.key] ?? unknownTopic();
    if (same(definition, topicDefinitionOf(known))) return [];
    mustNotBeRetired('topic', known);
    if (definition.purpose !== known.purpose)
      throw new Refused('conflict', 'topic-moved', 'a topic stays with its purpose');
    return [{ type: 'TopicDefined', data: { topicId: known.topicId, ...definition } }];
  };
}

/** A topic as a file gives it: defined or revised, whichever it needs. */
export function applyTopic(topicId: TopicId, definition: TopicDefinition): Decide {
  return (state) =>
    state.topics[definition.key]
      ? reviseTopic(definition)(state)
      : defineTopic(topicId, definition)(state);
}

/** Ends a topic at `at`, or now. An end that was set can be brought forward, never put off. */
export function retireTopic(key: string, at: Instant | undefined, now: Instant): Decide {
  return ({ topics }) => {
    const { topicId, retiredAt } = topics[key] ?? unknownTopic();
    const occurredAt = retirement('topic', retiredAt, at, now);
    return occurredAt ? [{ type: 'TopicRetired', occurredAt, data: { topicId, key } }] : [];
  };
}

/** What is to be changed of the settings; what is absent stays. */
export interface SettingsChange {
  /** Added, or replaced where the key is known. */
  readonly controllers?: readonly Controller[];
  /** Added. */
  readonly sources?: readonly string[];
  /** In the place of all that there were. */
  readonly defaultBases?: readonly DefaultBasis[];
}

/** The most bytes of JSON that one kind of settings may have: they are stored as one event. */
const LARGEST_SETTINGS = 50_000;

export function changeSettings(change: SettingsChange): Decide {
  return (state) => {
    const byKey = new Map(state.controllers.map((controller) => [controller.key, controller]));
    for (const controller of change.controllers ?? []) byKey.set(controller.key, controller);
    const controllers = [...byKey.values()];
    const sources = [...new Set([...state.sources, ...(change.sources ?? [])])];
    const defaultBases = change.defaultBases ?? state.defaultBases;
    const data = {
      controllers: same(controllers, state.controllers) ? undefined : controllers,
      sources: same(sources, state.sources) ? undefined : sources,
      defaultBases: same(defaultBases, state.defaultBases) ? undefined : defaultBases,
    };
    if (Object.values(data).every((value) => value === undefined)) return [];
    const size = new TextEncoder().encode(JSON.stringify(data)).length;
    if (size > LARGEST_SETTINGS)
      throw new Refused('conflict', 'settings-too-large', 'there is no room for more settings', {
        evidence: { size, most: LARGEST_SETTINGS },
      });
    return [{ type: 'SettingsChanged', data }];
  };
}

/** When it ends, where that is news; undefined where it stands so. */
function retirement(
  what: 'purpose' | 'topic',
  retiredAt: Instant | undefined,
  at: Instant | undefined,
  now: Instant,
): Instant | undefined {
  const end = at ?? now;
  if (retiredAt === undefined || end < retiredAt) return end;
  if (at === undefined || at === retiredAt) return undefined;
  throw retired(what, retiredAt);
}

function mustNotBeRetired(what: 'purpose' | 'topic', known: Purpose | Topic): void {
  if (known.retiredAt !== undefined) throw retired(what, known.retiredAt);
}

function retired(what: 'purpose' | 'topic', retiredAt: Instant): Refused {
  return new Refused('conflict', `${what}-retired`, `the ${what} is retired`, {
    evidence: { retiredAt },
  });
}

function unknownPurpose(): never {
  throw new Refused('not-found', 'unknown-purpose', 'there is no such purpose');
}

function unknownTopic(): never {
  throw new Refused('not-found', 'unknown-topic', 'there is no such topic');
}
