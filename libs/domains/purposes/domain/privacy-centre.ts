import type { Recorded } from '#core/kernel/event.js';
import type { NoticeId, StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { model } from '#core/kernel/model.js';
import { type Position, START } from '#core/kernel/position.js';
import type {
  Controller,
  DefaultBasis,
  NoticeKind,
  PurposeDefinition,
  PurposeEvent,
  PurposeId,
  TopicDefinition,
  TopicId,
} from './purposes.events.js';

/** Where data may be said to come from; operators can add more. */
export const INITIAL_SOURCES = [
  'officer',
  'email',
  'service-request',
  'chat',
  'web-form',
  'customer-portal',
  'import',
  'api',
  'unknown',
] as const;

export interface Purpose extends PurposeDefinition {
  readonly purposeId: PurposeId;
  /** The stream's revision at the last definition: what a consent names. */
  readonly revision: number;
  readonly definedAt: Instant;
  readonly retiredAt?: Instant;
}

export interface Notice {
  readonly noticeId: NoticeId;
  readonly purpose?: string;
  readonly kind: NoticeKind;
  readonly version: number;
  readonly language: string;
  readonly text: string;
  readonly hash: string;
  readonly publishedAt: Instant;
}

export interface Topic extends TopicDefinition {
  readonly topicId: TopicId;
  /** The stream's revision at the last definition. */
  readonly revision: number;
  readonly retiredAt?: Instant;
}

/** The catalogue as of some position: folded over all its streams, or over one of them for a decision. */
export interface PrivacyCentre {
  readonly purposes: Readonly<Record<string, Purpose>>;
  readonly topics: Readonly<Record<string, Topic>>;
  readonly notices: readonly Notice[];
  readonly controllers: readonly Controller[];
  readonly sources: readonly string[];
  readonly defaultBases: readonly DefaultBasis[];
  /** The last revision of every stream it is made of: what a change can be made conditional on. */
  readonly revisions: Readonly<Record<StreamName, number>>;
  /** The last change. */
  readonly position: Position;
}

export const privacyCentre = model<PurposeEvent>()<PrivacyCentre>({
  name: 'privacy-centre',
  initial: {
    purposes: nothing(),
    topics: nothing(),
    notices: [],
    controllers: [],
    sources: INITIAL_SOURCES,
    defaultBases: [],
    revisions: nothing(),
    position: START,
  },
  evolve: {
    PurposeDefined: (state, event) => {
      const { data, revision, occurredAt } = event;
      return withPurpose(seen(state, event), { ...data, revision, definedAt: occurredAt });
    },
    PurposeRevised: (state, event) => {
      const { data, revision, occurredAt } = event;
      const known = state.purposes[data.key];
      return withPurpose(seen(state, event), {
        ...data,
        revision,
        definedAt: known?.definedAt ?? occurredAt,
        retiredAt: known?.retiredAt,
      });
    },
    PurposeRetired: (state, event) => {
      const { data, occurredAt: retiredAt } = event;
      const purpose = state.purposes[data.key];
      const next = seen(state, event);
      return purpose ? withPurpose(next, { ...purpose, retiredAt }) : next;
    },
    NoticePublished: (state, event) => ({
      ...seen(state, event),
      notices: [...state.notices, event.data],
    }),
    TopicDefined: (state, event) => {
      const { data, revision } = event;
      const retiredAt = state.topics[data.key]?.retiredAt;
      return withTopic(seen(state, event), { ...data, revision, retiredAt });
    },
    TopicRetired: (state, event) => {
      const { data, occurredAt: retiredAt } = event;
      const topic = state.topics[data.key];
      const next = seen(state, event);
      return topic ? withTopic(next, { ...topic, retiredAt }) : next;
    },
    SettingsChanged: (state, event) => ({
      ...seen(state, event),
      controllers: event.data.controllers ?? state.controllers,
      sources: event.data.sources ?? state.sources,
      defaultBases: event.data.defaultBases ?? state.defaultBases,
    }),
  },
});

function seen(state: PrivacyCentre, { stream, revision, position }: Recorded): PrivacyCentre {
  return { ...state, revisions: withEntry(state.revisions, stream, revision), position };
}

function withPurpose(state: PrivacyCentre, purpose: Purpose): PrivacyCentre {
  return { ...state, purposes: withEntry(state.purposes, purpose.key, purpose) };
}

function withTopic(state: PrivacyCentre, topic: Topic): PrivacyCentre {
  return { ...state, topics: withEntry(state.topics, topic.key, topic) };
}

/** Without a prototype: `constructor` is a key like any other, and is not there until it is defined. */
function nothing<Value>(): Readonly<Record<string, Value>> {
  return Object.freeze(Object.create(null) as Record<string, Value>);
}

function withEntry<Value>(
  entries: Readonly<Record<string, Value>>,
  key: string,
  value: Value,
): Readonly<Record<string, Value>> {
  return Object.assign(Object.create(null) as Record<string, Value>, entries, { [key]: value });
}

export function definitionOf(purpose: Purpose): PurposeDefinition {
  const { purposeId: _, revision: _r, definedAt: _d, retiredAt: _t, ...definition } = purpose;
  return definition;
}

export function topicDefinitionOf({ key, purpose, unset, texts }: Topic): TopicDefinition {
  return { key, purpose, unset, texts };
}
