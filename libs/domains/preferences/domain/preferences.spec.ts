import { describe, test } from '@jest/globals';
import type { Fact } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import { given } from '#core/kernel/spec.js';
import type { PreferenceEvent } from './preferences.events.js';
import { switches, switchTopic } from './preferences.js';

const day = (n: number) => `2026-03-0${n}T12:00:00.000Z` as Instant;
const target = { topic: 'product-news', channel: 'email' } as const;

const on = (n: number): Fact<PreferenceEvent> => ({
  type: 'TopicSwitchedOn',
  occurredAt: day(n),
  data: target,
});
const off = (n: number): Fact<PreferenceEvent> => ({ ...on(n), type: 'TopicSwitchedOff' });

describe('a topic is switched on a channel', () => {
  test('on, where nothing was chosen', () => {
    given(switches)
      .when(switchTopic({ ...target, on: true, at: day(1) }))
      .then(on(1));
  });

  test('off, also where it was never on', () => {
    given(switches)
      .when(switchTopic({ ...target, on: false, at: day(1) }))
      .then(off(1));
  });

  test('every choice is a fact and is recorded, also when it repeats the present state', () => {
    given(switches, on(1))
      .when(switchTopic({ ...target, on: true, at: day(2) }))
      .then(on(2));
  });

  test('a late choice is recorded: it may fall between two equal ones', () => {
    given(switches, on(3), on(5))
      .when(switchTopic({ ...target, on: false, at: day(4) }))
      .then(off(4));
  });

  test('an equal fact decides nothing', () => {
    given(switches, on(1), off(2))
      .when(switchTopic({ ...target, on: true, at: day(1) }))
      .then();
  });

  test('the other direction at the same time is another fact', () => {
    given(switches, on(1))
      .when(switchTopic({ ...target, on: false, at: day(1) }))
      .then(off(1));
  });

  test('another topic or another channel is another fact', () => {
    given(switches, on(1))
      .when(switchTopic({ ...target, channel: 'sms', on: true, at: day(1) }))
      .then({ ...on(1), data: { ...target, channel: 'sms' } });
    given(switches, on(1))
      .when(switchTopic({ ...target, topic: 'events', on: true, at: day(1) }))
      .then({ ...on(1), data: { ...target, topic: 'events' } });
  });

  test('the testimony goes on record, and makes no fact another one', () => {
    const testimony = { collectionPoint: 'shop-1', comment: 'at the counter' };
    given(switches)
      .when(switchTopic({ ...target, on: true, at: day(1), testimony }))
      .then({ ...on(1), data: { ...target, ...testimony } });
    given(switches, on(1))
      .when(switchTopic({ ...target, on: true, at: day(1), testimony }))
      .then();
  });
});
