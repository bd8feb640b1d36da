import { describe, expect, test } from '@jest/globals';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import {
  add,
  ask,
  confirm,
  day,
  destroyKeys,
  DOUBLE_OPT_IN,
  end,
  give,
  history,
  holds,
  MARKETING,
  object,
  off,
  on,
  PLAIN,
  refuse,
  registered,
  remove,
  restrict,
  rules,
  set,
  takeBack,
  withdraw,
} from '../../../../test/laws/telling.js';
import {
  type Answer,
  type AnsweringTopic,
  contactKindOf,
  erasedSubject,
  mostRestrictive,
  unknownSubject,
} from './answer.js';

/**
 * May we? Sentence by sentence. Numbers are days of March; a row is a day and the answer then: `allowed`, or
 * everything that stands in the way. Unless it says otherwise the person was registered on the first.
 */

const weekly: AnsweringTopic = { key: 'weekly', unset: 'off' };
const following: AnsweringTopic = { key: 'weekly', unset: 'follows-purpose' };
const byEmail = { channel: 'email' } as const;
const EVERYWHERE = rules({ marketing: true });

describe('unknown-subject', () => {
  test('not yet registered at asOf', () => {
    holds(
      PLAIN,
      [registered(3), give(2)],
      [
        [1, 'unknown-subject'],
        [2.9, 'unknown-subject'],
        [3, 'allowed'],
      ],
    );
  });

  test('not yet known at knownAt: what the ledger knew is a prefix of the log', () => {
    expect(ask(PLAIN, [], 5)).toEqual(unknownSubject);
    expect(ask(PLAIN, [registered(1)], 5).code).toBe('no-basis');
  });

  test('comes before everything else, and is all there is to say', () => {
    const told = [registered(9), restrict(1), object(1, 'marketing'), withdraw(2)];
    expect(ask(MARKETING, told, 3, byEmail).reasons).toEqual(['unknown-subject']);
  });
});

describe('erased', () => {
  test('counts from the destruction of the key; a question about an earlier day is answered as before', () => {
    holds(
      EVERYWHERE,
      [give(2), add('email', 2), destroyKeys(5)],
      [
        [2, 'allowed'],
        [4.9, 'allowed'],
        [5, 'erased'],
        [20, 'erased'],
      ],
      byEmail,
    );
  });

  test('is all there is to say', () => {
    const told = [registered(1), restrict(2), withdraw(2), destroyKeys(5)];
    expect(ask(PLAIN, told, 6, byEmail)).toEqual(erasedSubject);
  });
});

describe('no-basis', () => {
  test('nothing was ever said or set for the purpose', () => {
    holds(PLAIN, [], [[5, 'no-basis']]);
    holds(PLAIN, [give(2, { purpose: 'study' })], [[5, 'no-basis']]);
  });

  test('or it is retired: where asOf is at or after its retirement, and only there', () => {
    holds(
      rules({ retiredAt: day(4) }),
      [give(2)],
      [
        [3, 'allowed'],
        [3.9, 'allowed'],
        [4, 'no-basis'],
        [9, 'no-basis'],
      ],
    );
    holds(rules({ retiredAt: day(4) }), [set('legal-obligation', 2)], [[4, 'no-basis']]);
  });

  test('of a purpose that is retired all else that stands in the way is named too', () => {
    const retired = rules({ retiredAt: day(4), marketing: true });
    holds(retired, [give(2), withdraw(3)], [[5, 'no-basis', 'consent-withdrawn']]);
    holds(retired, [object(2), restrict(2)], [[5, 'restricted', 'objected', 'no-basis']]);
  });

  test('where nothing was said for the purpose, restriction and objection still come first', () => {
    holds(
      MARKETING,
      [restrict(2), object(2, 'marketing')],
      [[3, 'restricted', 'objected', 'no-basis']],
    );
    holds(PLAIN, [restrict(2, ['study']), object(2, 'marketing')], [[3, 'no-basis']]);
    holds(PLAIN, [restrict(2, ['news'])], [[3, 'restricted', 'no-basis']]);
  });
});

describe('the channel', () => {
  test('a question without a channel asks for none', () => {
    holds(MARKETING, [give(2)], [[3, 'allowed']]);
    holds(DOUBLE_OPT_IN, [give(2, { confirmed: 2 }), add('email', 5)], [[6, 'allowed']]);
  });

  test('a consent for marketing covers only the channels its purpose names', () => {
    const told = [give(2), add('email', 1, 1), add('phone', 1, 2), add('post', 1, 3)];
    const answers = (['email', 'sms', 'phone', 'post', 'push'] as const).map((channel) => [
      channel,
      ask(MARKETING, [registered(1), ...told], 3, { channel }).code,
    ]);
    expect(answers).toEqual([
      ['email', 'allowed'],
      ['sms', 'channel-not-covered'],
      ['phone', 'channel-not-covered'],
      ['post', 'allowed'],
      ['push', 'channel-not-covered'],
    ]);
  });

  test('elsewhere, and on another basis, no channel is left out', () => {
    const narrow = { channels: [] };
    holds(rules(narrow), [give(2), add('email', 1)], [[3, 'allowed']], byEmail);
    holds(
      rules({ marketing: true, ...narrow }),
      [set('legitimate-interests', 2), add('email', 1)],
      [[3, 'allowed']],
      byEmail,
    );
  });

  test('a consent that is valid decides, also where another basis would reach further', () => {
    holds(
      rules({ marketing: true, channels: ['post'] }),
      [set('legitimate-interests', 2), give(3), add('email', 1)],
      [
        [2, 'allowed'],
        [3, 'channel-not-covered'],
      ],
      byEmail,
    );
  });

  test('a topic narrows, never widens', () => {
    holds(
      rules({ marketing: true, channels: ['post'] }),
      [give(2), add('email', 1), on('weekly', 'email', 2)],
      [[3, 'channel-not-covered']],
      { ...byEmail, topic: weekly },
    );
  });

  test.each([
    ['email', 'email'],
    ['sms', 'phone'],
    ['phone', 'phone'],
    ['post', 'post'],
  ] as const)('needs a contact point of its kind: %s needs %s', (channel, kind) => {
    expect(contactKindOf(channel)).toBe(kind);
    holds(
      EVERYWHERE,
      [give(2), add(kind, 3), remove(kind, 5)],
      [
        [2, 'no-contact-point'],
        [3, 'allowed'],
        [5, 'no-contact-point'],
      ],
      { channel },
    );
    for (const other of (['email', 'phone', 'post'] as const).filter((one) => one !== kind))
      holds(EVERYWHERE, [give(2), add(other, 1)], [[3, 'no-contact-point']], { channel });
  });

  test('push needs none', () => {
    expect(contactKindOf('push')).toBeUndefined();
    holds(EVERYWHERE, [give(2)], [[3, 'allowed']], { channel: 'push' });
  });

  test('also where the purpose is no marketing', () => {
    holds(PLAIN, [set('contract', 2)], [[3, 'no-contact-point']], byEmail);
  });
});

describe('the topic', () => {
  const told = [give(1), add('email', 1, 1), add('phone', 1, 2)];
  const asked = { ...byEmail, topic: weekly };

  test('on, off or unset; unset means off unless the topic says "follows purpose"', () => {
    holds(
      EVERYWHERE,
      [...told, on('weekly', 'email', 3), off('weekly', 'email', 5)],
      [
        [2, 'topic-off'],
        [3, 'allowed'],
        [5, 'topic-off'],
      ],
      asked,
    );
    holds(
      EVERYWHERE,
      [...told, off('weekly', 'email', 3), on('weekly', 'email', 5)],
      [
        [2, 'allowed'],
        [3, 'topic-off'],
        [5, 'allowed'],
      ],
      { ...byEmail, topic: following },
    );
  });

  test('per topic and channel', () => {
    const others = [on('weekly', 'sms', 2), on('offers', 'email', 2)];
    holds(EVERYWHERE, [...told, ...others], [[3, 'topic-off']], asked);
    holds(EVERYWHERE, [...told, ...others], [[3, 'allowed']], { channel: 'sms', topic: weekly });
  });

  test('a choice that arrives late never overrides a later one; on a tie off wins', () => {
    holds(
      EVERYWHERE,
      [...told, off('weekly', 'email', 4), on('weekly', 'email', 2)],
      [[5, 'topic-off']],
      asked,
    );
    holds(
      EVERYWHERE,
      [...told, on('weekly', 'email', 2), off('weekly', 'email', 2)],
      [[3, 'topic-off']],
      asked,
    );
  });

  test('from its retirement on nobody receives it', () => {
    const retired = { ...byEmail, topic: { ...following, retiredAt: day(4) } };
    holds(
      EVERYWHERE,
      [...told, on('weekly', 'email', 2)],
      [
        [3.9, 'allowed'],
        [4, 'topic-off'],
      ],
      retired,
    );
  });

  test('is off for whoever may not be written to at all', () => {
    holds(
      EVERYWHERE,
      [...told, on('weekly', 'email', 2), withdraw(3)],
      [[4, 'consent-withdrawn']],
      asked,
    );
  });
});

describe('a confirmation proves the contact point it went to', () => {
  const unproved = [[6, 'confirmation-pending']] as const;

  test('one of that kind added after both the registration and the confirmation is confirmation-pending', () => {
    const told = [give(2, { confirmed: 3 }), add('email', 5)];
    holds(DOUBLE_OPT_IN, told, unproved, byEmail);
    holds(DOUBLE_OPT_IN, [give(2), confirm(3), add('email', 5)], unproved, byEmail);
  });

  test.each([
    ['one that came with the registration', [add('email', 1), give(2, { confirmed: 3 })]],
    ['one added before the confirmation', [add('email', 2), give(2, { confirmed: 3 })]],
    ['one added in the moment of the confirmation', [add('email', 3), give(2, { confirmed: 3 })]],
    [
      'one confirmed by a later grant',
      [give(2, { confirmed: 3 }), add('email', 4), give(5, { confirmed: 5 })],
    ],
  ])('not %s', (_, told) => {
    holds(DOUBLE_OPT_IN, told, [[6, 'allowed']], byEmail);
  });

  test('not one that came with a registration after the confirmation', () => {
    holds(
      DOUBLE_OPT_IN,
      [registered(4), give(2, { confirmed: 3 }), add('email', 4)],
      [[6, 'allowed']],
      byEmail,
    );
  });

  test('as long as an older one of that kind is there it is proved; once that is gone it is not', () => {
    holds(
      DOUBLE_OPT_IN,
      [add('email', 1, 1), give(2, { confirmed: 3 }), add('email', 4, 2), remove('email', 6, 1)],
      [
        [5, 'allowed'],
        [6, 'confirmation-pending'],
      ],
      byEmail,
    );
  });

  test('one of another kind proves nothing for this one', () => {
    const told = [add('email', 1, 1), give(2, { confirmed: 3 }), add('post', 5, 2)];
    holds(DOUBLE_OPT_IN, told, [[6, 'allowed']], byEmail);
    holds(DOUBLE_OPT_IN, told, unproved, { channel: 'post' });
  });

  test('for such purposes: not where none is needed, and not on another basis', () => {
    holds(MARKETING, [give(2, { confirmed: 3 }), add('email', 5)], [[6, 'allowed']], byEmail);
    holds(DOUBLE_OPT_IN, [set('contract', 2), add('email', 5)], [[6, 'allowed']], byEmail);
  });

  test('push reaches no contact point', () => {
    holds(
      rules({ marketing: true, doubleOptIn: true }),
      [give(2, { confirmed: 3 })],
      [[6, 'allowed']],
      {
        channel: 'push',
      },
    );
  });
});

describe('code is the first that applies, reasons are all that stand in the way', () => {
  test('so that lifting one does not look like a yes', () => {
    const everything = [restrict(2), object(3), refuse(4)];
    holds(
      rules({ marketing: true, channels: ['post'] }),
      [...everything, takeBack(5)],
      [
        [
          4,
          'restricted',
          'objected',
          'consent-refused',
          'channel-not-covered',
          'topic-off',
          'no-contact-point',
        ],
        [
          5,
          'restricted',
          'consent-refused',
          'channel-not-covered',
          'topic-off',
          'no-contact-point',
        ],
      ],
      { ...byEmail, topic: weekly },
    );
  });

  test('what a restriction hides is named: an unproved contact point, a channel that is not covered', () => {
    holds(
      DOUBLE_OPT_IN,
      [give(2, { confirmed: 2 }), restrict(3), add('email', 4)],
      [[5, 'restricted', 'confirmation-pending']],
      byEmail,
    );
    holds(
      MARKETING,
      [give(2), restrict(3)],
      [[5, 'restricted', 'channel-not-covered', 'no-contact-point']],
      {
        channel: 'sms',
      },
    );
  });

  test('what does not stand in the way is not: a basis that any channel may use', () => {
    holds(MARKETING, [set('contract', 2), add('phone', 1), restrict(3)], [[5, 'restricted']], {
      channel: 'sms',
    });
    holds(MARKETING, [set('contract', 2), add('phone', 1), object(3)], [[5, 'objected']], {
      channel: 'sms',
    });
  });

  test('only the bases of one purpose stand beside each other: one that is valid hides those that are not', () => {
    holds(
      PLAIN,
      [refuse(2), set('legal-obligation', 2), set('contract', 2), end('contract', 3)],
      [[4, 'allowed']],
    );
    holds(
      PLAIN,
      [refuse(2), set('contract', 2), end('contract', 3)],
      [[4, 'consent-refused', 'basis-ended']],
    );
  });
});

test('an answer that allows names the basis, since when, and the event that proves it', () => {
  const told = [registered(1), add('email', 1), give(2), confirm(4)];
  const [, , given, confirmed] = history(told);
  const answered = (of: typeof PLAIN): Answer => ask(of, told, 5, byEmail);
  const common = { allowed: true, code: 'allowed', reasons: [], basis: 'consent' };
  expect(answered(PLAIN)).toEqual({
    ...common,
    since: day(2),
    event: { id: given?.id, position: given?.position },
  });
  expect(answered(DOUBLE_OPT_IN)).toEqual({
    ...common,
    since: day(4),
    event: { id: confirmed?.id, position: confirmed?.position },
  });
});

test('an answer that does not allow names no basis', () => {
  expect(ask(PLAIN, [registered(1), give(2), restrict(3)], 4)).not.toHaveProperty('basis');
  expect(ask(MARKETING, [registered(1), give(2)], 4, byEmail)).not.toHaveProperty('basis');
});

describe('a question by contact point that matches several gets the most restrictive answer', () => {
  const people = {
    allowed: ask(PLAIN, [registered(1), give(2)], 5),
    withdrawn: ask(PLAIN, [registered(1), withdraw(2)], 5),
    restricted: ask(PLAIN, [registered(1), restrict(2)], 5),
    unreachable: ask(PLAIN, [registered(1), give(2)], 5, byEmail),
  };
  test.each([
    [['allowed', 'allowed'], 'allowed'],
    [['allowed', 'unreachable'], 'no-contact-point'],
    [['unreachable', 'withdrawn', 'allowed'], 'consent-withdrawn'],
    [['withdrawn', 'restricted'], 'restricted'],
  ] as const)('%s: %s', (who, code) => {
    expect(mostRestrictive(who.map((one) => people[one])).code).toBe(code);
    expect(mostRestrictive([...who].reverse().map((one) => people[one])).code).toBe(code);
  });

  test('of nobody it is unknown-subject', () => {
    expect(mostRestrictive([])).toEqual(unknownSubject);
  });
});

test('every channel is answered', () => {
  for (const channel of ['email', 'sms', 'phone', 'post', 'push'] satisfies Channel[])
    holds(
      EVERYWHERE,
      [give(2)],
      [[3, ...(channel === 'push' ? ['allowed' as const] : ['no-contact-point' as const])]],
      {
        channel,
      },
    );
});
