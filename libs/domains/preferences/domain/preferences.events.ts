/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The preferences slice: which topics a person wants, on which channel.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { Testimony } from '#domains/consents/domain/consents.events.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';

interface TopicOnChannel extends Testimony {
  readonly topic: string;
  readonly channel: Channel;
}

/** The person subscribed to a topic on a channel. */
export type TopicSwitchedOn = Event<'TopicSwitchedOn', TopicOnChannel>;

/** The person unsubscribed from a topic on a channel. */
export type TopicSwitchedOff = Event<'TopicSwitchedOff', TopicOnChannel>;

export type PreferenceEvent = TopicSwitchedOn | TopicSwitchedOff;

const testimony = { evidence: 'evidence', comment: 'evidence' } as const;

export const preferenceEvents = catalogue<PreferenceEvent>({
  TopicSwitchedOn: {
    version: 1,
    sealed: testimony,
    says: { en: 'Subscribed to {topic} by {channel}', de: '{topic} per {channel} abonniert' },
  },
  TopicSwitchedOff: {
    version: 1,
    sealed: testimony,
    says: { en: 'Unsubscribed from {topic} by {channel}', de: '{topic} per {channel} abbestellt' },
  },
});
