import type { Instant } from '#core/kernel/instant.js';
import { type Decision, model } from '#core/kernel/model.js';
import type { Testimony } from '#domains/consents/domain/consents.events.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import type { PreferenceEvent } from './preferences.events.js';

/** Which switches are on record, by topic, channel, direction and time. */
export type Switches = ReadonlySet<string>;

interface Switch {
  readonly topic: string;
  readonly channel: Channel;
  readonly on: boolean;
  readonly at: Instant;
}

const keyOf = ({ topic, channel, on, at }: Switch) => `${topic} ${channel} ${on} ${at}`;

export const switches = model<PreferenceEvent>()<Switches>({
  name: 'switches',
  initial: new Set(),
  evolve: {
    TopicSwitchedOn: (state, { data, occurredAt: at }, own) =>
      own(state).add(keyOf({ ...data, on: true, at })),
    TopicSwitchedOff: (state, { data, occurredAt: at }, own) =>
      own(state).add(keyOf({ ...data, on: false, at })),
  },
});

/** A topic on a channel is switched; nothing where this very switch is on record. */
export function switchTopic(
  input: Switch & { readonly testimony?: Testimony },
): Decision<Switches, PreferenceEvent> {
  const { topic, channel, on, at, testimony } = input;
  return (state) =>
    state.has(keyOf(input))
      ? []
      : [
          {
            type: on ? 'TopicSwitchedOn' : 'TopicSwitchedOff',
            occurredAt: at,
            data: { topic, channel, ...testimony },
          },
        ];
}
