import { describe, expect, test } from '@jest/globals';
import { fold } from '#core/kernel/model.js';
import { recorded } from '#core/kernel/spec.js';
import {
  ask,
  confirm,
  day,
  DOUBLE_OPT_IN,
  end,
  EVIDENCED,
  give,
  history,
  holds,
  invalidate,
  lift,
  MARKETING,
  object,
  PLAIN,
  refuse,
  registered,
  renew,
  request,
  restrict,
  rules,
  set,
  takeBack,
  unknown,
  uphold,
  withdraw,
} from '../../../../test/laws/telling.js';
import { personFacts } from './facts.js';
import { CODES, inOrder } from './consents.vocabulary.js';
import { standingAt, standingOf } from './standing.js';

/**
 * The rules, sentence by sentence. Numbers are days of March; a row is a day and the answer then: `allowed`,
 * or everything that stands in the way. Unless it says otherwise the person was registered on the first.
 */

describe('Legal basis', () => {
  test('each of the six has a life of its own; setting one touches that one alone', () => {
    holds(
      PLAIN,
      [
        set('contract', 2),
        set('vital-interests', 3),
        end('contract', 4),
        end('vital-interests', 6),
      ],
      [
        [1, 'no-basis'],
        [2, 'allowed'],
        [3, 'allowed'],
        [4, 'allowed'],
        [6, 'basis-ended'],
      ],
    );
  });

  test('the purpose is allowed if at least one is valid', () => {
    holds(
      PLAIN,
      [give(2), set('legal-obligation', 3), withdraw(4), end('legal-obligation', 5)],
      [
        [2, 'allowed'],
        [4, 'allowed'],
        [5, 'consent-withdrawn', 'basis-ended'],
      ],
    );
  });

  test.each([
    ['requested', [request(2)], 'consent-requested'],
    ['given', [give(2)], 'allowed'],
    ['refused', [refuse(2)], 'consent-refused'],
    ['withdrawn', [give(2), withdraw(3)], 'consent-withdrawn'],
    ['expired', [give(2, { expires: 4 })], 'consent-expired'],
    ['renewed', [give(2, { expires: 4 }), renew(3, 9)], 'allowed'],
    ['invalidated', [give(2, { label: 'g' }), invalidate(3, 'g')], 'consent-invalidated'],
    ['unknown', [unknown(2)], 'consent-unknown'],
  ] as const)('consent: %s', (_, told, code) => {
    holds(PLAIN, told, [
      [1, 'no-basis'],
      [5, code],
    ]);
  });

  test.each(['contract', 'legal-obligation', 'vital-interests'] as const)(
    '%s: established, ended',
    (basis) => {
      holds(
        PLAIN,
        [set(basis, 2), end(basis, 4)],
        [
          [1, 'no-basis'],
          [2, 'allowed'],
          [4, 'basis-ended'],
        ],
      );
    },
  );

  test.each(['legitimate-interests', 'public-task'] as const)(
    '%s: asserted, objected, upheld with grounds, ended',
    (basis) => {
      holds(
        PLAIN,
        [set(basis, 2), object(3), uphold(basis, 4), end(basis, 5)],
        [
          [1, 'no-basis'],
          [2, 'allowed'],
          [3, 'objected'],
          [4, 'allowed'],
          [5, 'basis-ended'],
        ],
      );
    },
  );

  test('legitimate interests without an assessment still hold', () => {
    holds(PLAIN, [set('legitimate-interests', 2)], [[2, 'allowed']]);
  });

  test('upheld is never for direct marketing', () => {
    holds(
      MARKETING,
      [set('legitimate-interests', 2), object(3), uphold('legitimate-interests', 4)],
      [
        [3, 'objected'],
        [4, 'objected'],
      ],
    );
  });

  test.each([
    'contract',
    'legal-obligation',
    'vital-interests',
    'public-task',
    'legitimate-interests',
  ] as const)('validUntil ends any of them by itself: %s', (basis) => {
    holds(
      PLAIN,
      [set(basis, 2, 4)],
      [
        [3, 'allowed'],
        [3.99, 'allowed'],
        [4, 'basis-ended'],
      ],
    );
  });

  test('what is set later with another end, or none, ends then', () => {
    holds(
      PLAIN,
      [set('contract', 2, 4), set('contract', 3, 6)],
      [
        [5, 'allowed'],
        [6, 'basis-ended'],
      ],
    );
    holds(PLAIN, [set('contract', 2, 4), set('contract', 3)], [[9, 'allowed']]);
    holds(
      PLAIN,
      [set('contract', 2, 4), set('contract', 6)],
      [
        [5, 'basis-ended'],
        [6, 'allowed'],
      ],
    );
  });

  test('withdrawal is a status, not a basis: where nothing was given it allows and blocks the same', () => {
    holds(PLAIN, [withdraw(2)], [[2, 'consent-withdrawn']]);
  });

  test.each(['legitimate-interests', 'public-task'] as const)(
    'a refused or withdrawn consent blocks %s of that purpose too',
    (basis) => {
      for (const [said, code] of [
        [refuse(3), 'consent-refused'],
        [withdraw(3), 'consent-withdrawn'],
      ] as const)
        holds(
          PLAIN,
          [set(basis, 2), said],
          [
            [2, 'allowed'],
            [3, code],
          ],
        );
    },
  );

  test('it blocks no other basis, and no other status of a consent blocks them', () => {
    for (const basis of ['contract', 'legal-obligation', 'vital-interests'] as const)
      holds(PLAIN, [set(basis, 2), refuse(3)], [[3, 'allowed']]);
    const li = set('legitimate-interests', 2);
    for (const told of [
      [request(3)],
      [unknown(3)],
      [give(2, { expires: 3 })],
      [give(2, { label: 'g' }), invalidate(3, 'g')],
    ])
      holds(PLAIN, [li, ...told], [[4, 'allowed']]);
  });

  test('it blocks them until a grant that counts comes after it, whatever else is said of the consent', () => {
    const told = [set('public-task', 1), withdraw(2)];
    holds(PLAIN, [...told, request(3)], [[4, 'consent-withdrawn']]);
    holds(PLAIN, [...told, unknown(3)], [[4, 'consent-unknown']]);
    holds(
      PLAIN,
      [...told, give(3, { label: 'g' }), invalidate(5, 'g')],
      [[4, 'consent-invalidated']],
    );
    holds(PLAIN, [...told, give(3, { expires: 4 })], [[5, 'allowed']]);
  });
});

describe('Time', () => {
  test('a choice counts from occurredAt, whenever the ledger learned of it', () => {
    const late = history([registered(1), give(3)]).map((event) => ({
      ...event,
      recordedAt: day(20),
    }));
    const facts = fold(personFacts, late);
    expect(standingAt(standingOf(facts, PLAIN), day(2))).toBeUndefined();
    expect(standingAt(standingOf(facts, PLAIN), day(3))?.code).toBe('allowed');
  });

  test('a choice that arrives late never overrides a later one', () => {
    holds(
      PLAIN,
      [withdraw(5), give(3)],
      [
        [3, 'allowed'],
        [4, 'allowed'],
        [5, 'consent-withdrawn'],
      ],
    );
    holds(
      PLAIN,
      [give(5), withdraw(3)],
      [
        [3, 'consent-withdrawn'],
        [5, 'allowed'],
      ],
    );
    holds(
      PLAIN,
      [set('contract', 5), end('contract', 3)],
      [
        [3, 'basis-ended'],
        [5, 'allowed'],
      ],
    );
  });

  test.each([
    ['a refusal over a grant', [give(2), refuse(2)], 'consent-refused'],
    ['a withdrawal over a grant', [give(2), withdraw(2)], 'consent-withdrawn'],
    ['an unknown state over a grant', [give(2), unknown(2)], 'consent-unknown'],
    ['the grant that ends sooner', [give(2, { expires: 4 }), give(2)], 'consent-expired'],
    [
      'the renewal that ends sooner',
      [give(1, { expires: 3 }), renew(2, 9), renew(2, 4)],
      'consent-expired',
    ],
    [
      'a grant found invalid over an unknown state',
      [give(2, { label: 'g' }), unknown(2), invalidate(3, 'g')],
      'consent-invalidated',
    ],
    ['an end over a beginning', [set('contract', 2), end('contract', 2)], 'basis-ended'],
    ['the basis that ends sooner', [set('contract', 2, 4), set('contract', 2)], 'basis-ended'],
  ] as const)('on a tie the more restrictive wins: %s', (_, told, code) => {
    holds(PLAIN, told, [[5, code]]);
  });

  test.each([
    ['an objection over its withdrawal', [object(3), takeBack(3)], 'objected'],
    ['an objection over its overruling', [object(3), uphold('public-task', 3)], 'objected'],
    ['a restriction over its lifting', [restrict(3), lift(3)], 'restricted'],
  ] as const)('on a tie the more restrictive wins: %s', (_, told, code) => {
    holds(PLAIN, [set('public-task', 2), ...told], [[3, code]]);
  });

  test('as-of means at or before', () => {
    const told = [registered(1), give(3), withdraw(5)];
    const just = 1 / 86_400_000;
    for (const [asOf, code] of [
      [3 - just, 'no-basis'],
      [3, 'allowed'],
      [5 - just, 'allowed'],
      [5, 'consent-withdrawn'],
    ] as const)
      expect([asOf, ask(PLAIN, told, asOf).code]).toEqual([asOf, code]);
  });

  test('a refusal or withdrawal counts also when there was nothing to withdraw: an older grant may be on its way', () => {
    holds(
      PLAIN,
      [withdraw(4), give(2)],
      [
        [3, 'allowed'],
        [4, 'consent-withdrawn'],
        [9, 'consent-withdrawn'],
      ],
    );
  });

  test('a choice may also lie before the registration', () => {
    holds(
      PLAIN,
      [registered(5), give(2)],
      [
        [2, 'unknown-subject'],
        [4, 'unknown-subject'],
        [5, 'allowed'],
      ],
    );
    holds(PLAIN, [registered(5), give(2), withdraw(3)], [[5, 'consent-withdrawn']]);
  });

  test('a request for consent never ends a valid consent', () => {
    holds(
      PLAIN,
      [give(2, { expires: 5 }), request(3)],
      [
        [3, 'allowed'],
        [5, 'consent-expired'],
      ],
    );
  });

  test('expiry is a function of time: the grant carries expiresAt, and from then on it is expired', () => {
    holds(
      PLAIN,
      [give(2, { expires: 5 })],
      [
        [4.999, 'allowed'],
        [5, 'consent-expired'],
        [20, 'consent-expired'],
      ],
    );
  });

  test('or the confirmation that completes it carries it, where confirmation is needed', () => {
    const told = [give(2, { expires: 5 }), confirm(4, { expires: 8 })];
    holds(DOUBLE_OPT_IN, told, [
      [7, 'allowed'],
      [8, 'consent-expired'],
    ]);
    holds(PLAIN, told, [
      [4, 'allowed'],
      [5, 'consent-expired'],
    ]);
  });

  test('ConsentExpired only announces it, and no answer depends on it', () => {
    const told = [registered(1), give(2)];
    const events = history(told);
    const announced = recorded(
      {
        type: 'ConsentExpired',
        occurredAt: day(3),
        data: { purpose: 'news', grant: events[1]?.id },
      },
      2,
    );
    const spans = standingOf(fold(personFacts, [...events, announced]), PLAIN);
    expect(spans).toEqual(standingOf(fold(personFacts, events), PLAIN));
    expect(standingAt(spans, day(9))?.code).toBe('allowed');
  });

  describe('ConsentRenewed extends a valid consent only', () => {
    test('one that is valid ends later', () => {
      holds(
        PLAIN,
        [give(2, { expires: 5 }), renew(4, 8)],
        [
          [5, 'allowed'],
          [8, 'consent-expired'],
        ],
      );
    });

    test('also in the moment in which it was given', () => {
      holds(PLAIN, [give(2, { expires: 4 }), renew(2, 9)], [[5, 'allowed']]);
    });

    test('and never sooner', () => {
      holds(PLAIN, [give(2, { expires: 8 }), renew(3, 5)], [[7, 'allowed']]);
      holds(PLAIN, [give(2), renew(3, 5)], [[7, 'allowed']]);
    });

    test('again and again, as long as it is valid each time', () => {
      holds(
        PLAIN,
        [give(2, { expires: 4 }), renew(3, 6), renew(5, 8), renew(8, 12)],
        [
          [7, 'allowed'],
          [8, 'consent-expired'],
          [9, 'consent-expired'],
        ],
      );
    });

    test.each([
      ['expired', [give(2, { expires: 4 })], 'consent-expired'],
      ['withdrawn', [give(2, { expires: 9 }), withdraw(3)], 'consent-withdrawn'],
      ['withdrawn in the same moment', [give(2, { expires: 9 }), withdraw(4)], 'consent-withdrawn'],
      ['refused', [refuse(3)], 'consent-refused'],
      ['asked for', [request(3)], 'consent-requested'],
      [
        'given, and ended by an objection',
        [give(2, { expires: 9 }), object(3), takeBack(3.5)],
        'consent-withdrawn',
      ],
    ] as const)('one that was %s is not revived', (_, told, code) => {
      holds(PLAIN, [...told, renew(4, 20)], [[10, code]]);
    });

    test('nor one that still waits for its confirmation', () => {
      holds(DOUBLE_OPT_IN, [give(2, { expires: 5 }), renew(3, 20)], [[4, 'confirmation-pending']]);
    });
  });

  describe('ConsentInvalidated counts from the grant', () => {
    test('whenever it was found', () => {
      holds(
        PLAIN,
        [give(3, { label: 'g' }), invalidate(9, 'g')],
        [
          [2, 'no-basis'],
          [3, 'consent-invalidated'],
          [9, 'consent-invalidated'],
        ],
      );
    });

    test('a later grant counts', () => {
      holds(
        PLAIN,
        [give(3, { label: 'g' }), give(5), invalidate(9, 'g')],
        [
          [4, 'consent-invalidated'],
          [5, 'allowed'],
          [10, 'allowed'],
        ],
      );
    });

    test('what was found later is not known before: the answer as it was known then stays', () => {
      const told = [registered(1), give(3, { label: 'g' })];
      expect(ask(PLAIN, told, 4).code).toBe('allowed');
      expect(ask(PLAIN, [...told, invalidate(9, 'g')], 4).code).toBe('consent-invalidated');
    });

    test('whatever else the grant lacked', () => {
      const lacking = [
        give(2, { notice: 'complete' }),
        give(3, { label: 'g' }),
        invalidate(9, 'g'),
      ];
      holds(EVIDENCED, lacking, [[4, 'consent-invalidated']]);
      const waiting = [give(2, { confirmed: 2 }), give(3, { label: 'g' }), invalidate(9, 'g')];
      holds(DOUBLE_OPT_IN, waiting, [[4, 'consent-invalidated']]);
    });
  });
});

describe('Double opt-in', () => {
  test('a grant without confirmation does not count yet', () => {
    holds(
      DOUBLE_OPT_IN,
      [give(2)],
      [
        [1, 'no-basis'],
        [2, 'confirmation-pending'],
        [9, 'confirmation-pending'],
      ],
    );
  });

  test('it ends neither a consent nor a refusal', () => {
    holds(
      DOUBLE_OPT_IN,
      [give(2, { confirmed: 2, expires: 5 }), give(3)],
      [
        [3, 'allowed'],
        [5, 'consent-expired'],
      ],
    );
    holds(DOUBLE_OPT_IN, [refuse(2), give(3)], [[4, 'consent-refused']]);
    holds(
      DOUBLE_OPT_IN,
      [set('legitimate-interests', 1), withdraw(2), give(3)],
      [[4, 'consent-withdrawn']],
    );
  });

  test('a confirmed grant is a fact of the time of its confirmation, for every comparison', () => {
    holds(
      DOUBLE_OPT_IN,
      [give(2, { confirmed: 5 })],
      [
        [2, 'confirmation-pending'],
        [4, 'confirmation-pending'],
        [5, 'allowed'],
      ],
    );
    expect(ask(DOUBLE_OPT_IN, [registered(1), give(2, { confirmed: 5 })], 6)).toMatchObject({
      basis: 'consent',
      since: day(5),
    });
    // After the restriction, though the grant lies before it.
    holds(DOUBLE_OPT_IN, [give(2, { confirmed: 5 }), restrict(3)], [[6, 'allowed']]);
    // After an objection to a purpose that is no marketing, which cancels nothing.
    holds(
      rules({ doubleOptIn: true }),
      [give(2, { confirmed: 5 }), object(3)],
      [
        [4, 'objected', 'confirmation-pending'],
        [6, 'allowed'],
      ],
    );
  });

  test('a confirmation travels with the grant, or follows', () => {
    for (const told of [[give(2, { confirmed: 4 })], [give(2), confirm(4)], [confirm(4), give(2)]])
      holds(DOUBLE_OPT_IN, told, [
        [3, 'confirmation-pending'],
        [4, 'allowed'],
      ]);
  });

  test('it applies to the latest unconfirmed grant at or before it', () => {
    // The second grant is confirmed, and then withdrawn with what lies before it.
    const two = [give(2), give(4), confirm(5)];
    holds(DOUBLE_OPT_IN, two, [
      [4, 'confirmation-pending'],
      [5, 'allowed'],
    ]);
    expect(
      ask(
        DOUBLE_OPT_IN,
        [registered(1), give(2, { expires: 6 }), give(4, { expires: 20 }), confirm(5)],
        10,
      ).code,
    ).toBe('allowed');
    // One that is confirmed already is passed over.
    expect(
      ask(DOUBLE_OPT_IN, [registered(1), give(2), give(4, { confirmed: 4 }), confirm(5)], 6).since,
    ).toBe(day(5));
    holds(DOUBLE_OPT_IN, [give(4), confirm(4)], [[4, 'allowed']]);
  });

  test('of grants in one moment it goes to the one that is worth least, so that it never makes two of one', () => {
    const both = rules({ minimumEvidence: 'notice', doubleOptIn: true });
    const told = [give(2, { notice: 'complete' }), give(2, { notice: 'incomplete' }), confirm(3)];
    holds(both, told, [[4, 'confirmation-pending']]);
    holds(
      DOUBLE_OPT_IN,
      [give(2, { expires: 5 }), give(2, { expires: 9 }), confirm(3)],
      [[6, 'consent-expired']],
    );
  });

  test('of confirmations in one moment the one that ends sooner goes first', () => {
    const told = [give(2), confirm(3, { expires: 9 }), confirm(3, { expires: 5 })];
    holds(DOUBLE_OPT_IN, told, [[6, 'consent-expired']]);
  });

  test('a grant after the confirmation is not the one that was confirmed', () => {
    holds(DOUBLE_OPT_IN, [confirm(3), give(4)], [[5, 'confirmation-pending']]);
  });

  test('and waits if there is none yet', () => {
    holds(DOUBLE_OPT_IN, [confirm(4)], [[5, 'no-basis']]);
    const events = [registered(1), confirm(4)];
    expect(ask(DOUBLE_OPT_IN, events, 5).code).toBe('no-basis');
    expect(ask(DOUBLE_OPT_IN, [...events, give(2)], 5).code).toBe('allowed');
  });

  test.each([
    ['a refusal', refuse, 'consent-refused'],
    ['a withdrawal', withdraw, 'consent-withdrawn'],
  ] as const)(
    '%s at or after the grant and at or before the confirmation cancels it',
    (_, no, code) => {
      for (const at of [2, 3, 4])
        for (const told of [[give(2, { confirmed: 4 })], [give(2), confirm(4)]])
          holds(DOUBLE_OPT_IN, [...told, no(at)], [[5, code]]);
      holds(DOUBLE_OPT_IN, [give(2), confirm(4), no(1)], [[5, 'allowed']]);
      holds(
        DOUBLE_OPT_IN,
        [give(2), confirm(4), no(5)],
        [
          [4, 'allowed'],
          [5, code],
        ],
      );
    },
  );

  test.each(['marketing', 'this purpose'] as const)(
    'an objection to %s between them cancels it',
    (to) => {
      for (const at of [2, 3, 4])
        holds(
          DOUBLE_OPT_IN,
          [give(2), confirm(4), object(at, to)],
          [[5, 'objected', 'consent-withdrawn']],
        );
      holds(
        DOUBLE_OPT_IN,
        [give(2), confirm(4), object(3, to), takeBack(3.5, to)],
        [[5, 'consent-withdrawn']],
      );
      holds(DOUBLE_OPT_IN, [give(2), confirm(4), object(1, to)], [[5, 'allowed']]);
    },
  );

  test('a cancelled grant stays cancelled: another confirmation does not bring it back', () => {
    holds(
      DOUBLE_OPT_IN,
      [give(2), withdraw(3), confirm(4), confirm(5)],
      [[6, 'consent-withdrawn']],
    );
  });

  test('elsewhere a confirmation is evidence and moves nothing', () => {
    for (const either of [PLAIN, MARKETING]) {
      holds(either, [give(2), confirm(5)], [[2, 'allowed']]);
      holds(either, [give(2, { confirmed: 5 }), withdraw(3)], [[6, 'consent-withdrawn']]);
      holds(either, [confirm(3)], [[5, 'no-basis']]);
      expect(ask(either, [registered(1), give(2, { confirmed: 5 })], 6).since).toBe(day(2));
    }
  });
});

describe('Evidence', () => {
  const shown = { notice: 'complete' } as const;
  const poor = [give(3), give(3, { notice: 'incomplete' })];

  test('where the minimum evidence is notice, a grant that names a notice published by then counts', () => {
    holds(EVIDENCED, [give(2, shown)], [[2, 'allowed']]);
  });

  test('a grant with none or incomplete evidence is recorded but does not count', () => {
    for (const grant of poor)
      holds(
        EVIDENCED,
        [grant],
        [
          [2, 'no-basis'],
          [3, 'evidence-missing'],
        ],
      );
  });

  test('elsewhere it counts', () => {
    for (const grant of poor) holds(PLAIN, [grant], [[3, 'allowed']]);
  });

  test('it changes neither a consent that does', () => {
    for (const grant of poor)
      holds(
        EVIDENCED,
        [give(2, { ...shown, expires: 5 }), grant],
        [
          [4, 'allowed'],
          [5, 'consent-expired'],
        ],
      );
  });

  test('nor a refusal or withdrawal', () => {
    for (const grant of poor) {
      holds(EVIDENCED, [refuse(2), grant], [[4, 'consent-refused']]);
      holds(EVIDENCED, [withdraw(2), grant], [[4, 'consent-withdrawn']]);
      holds(EVIDENCED, [set('public-task', 1), refuse(2), grant], [[4, 'consent-refused']]);
    }
  });

  test('where nothing else was said the code is evidence-missing: not even that consent was asked for', () => {
    for (const grant of poor) {
      holds(EVIDENCED, [request(2), grant], [[4, 'evidence-missing']]);
      holds(EVIDENCED, [grant, request(4)], [[4, 'evidence-missing']]);
    }
  });

  test('a grant that lacks both counts for neither: each is named', () => {
    const both = rules({ minimumEvidence: 'notice', doubleOptIn: true });
    holds(
      both,
      [give(2), confirm(4)],
      [
        [3, 'evidence-missing', 'confirmation-pending'],
        [4, 'evidence-missing'],
      ],
    );
    holds(both, [give(2, { ...shown })], [[3, 'confirmation-pending']]);
  });
});

describe('Objection to marketing', () => {
  const TO = ['marketing', 'this purpose'] as const;

  test.each([
    'contract',
    'legal-obligation',
    'vital-interests',
    'public-task',
    'legitimate-interests',
  ] as const)('is absolute, whatever the basis: %s', (basis) => {
    for (const to of TO)
      holds(
        MARKETING,
        [set(basis, 2), object(3, to)],
        [
          [2, 'allowed'],
          [3, 'objected'],
        ],
      );
  });

  test('is absolute where nothing else was said', () => {
    for (const to of TO)
      holds(
        MARKETING,
        [object(3, to)],
        [
          [2, 'no-basis'],
          [3, 'objected', 'no-basis'],
        ],
      );
  });

  test('to all marketing says nothing of other purposes', () => {
    holds(PLAIN, [give(2), set('public-task', 2), object(3, 'marketing')], [[4, 'allowed']]);
  });

  test.each(TO)('to %s: a consent granted after it lifts it for its purpose', (to) => {
    holds(
      MARKETING,
      [object(2, to), give(3)],
      [
        [2, 'objected', 'no-basis'],
        [3, 'allowed'],
      ],
    );
  });

  test.each(TO)('to %s: as long as that consent lasts', (to) => {
    holds(
      MARKETING,
      [object(2, to), give(3), withdraw(5)],
      [
        [4, 'allowed'],
        [5, 'objected', 'consent-withdrawn'],
      ],
    );
    holds(
      MARKETING,
      [object(2, to), give(3, { expires: 5 })],
      [[5, 'objected', 'consent-expired']],
    );
    holds(
      MARKETING,
      [set('contract', 1), object(2, to), give(3), withdraw(5)],
      [
        [4, 'allowed'],
        [5, 'objected'],
      ],
    );
  });

  test.each(TO)('to %s: granted, and where needed confirmed, after the objection', (to) => {
    holds(
      DOUBLE_OPT_IN,
      [object(2, to), give(3), confirm(5)],
      [
        [4, 'objected', 'confirmation-pending'],
        [5, 'allowed'],
      ],
    );
    holds(
      DOUBLE_OPT_IN,
      [give(2), object(3, to), confirm(5)],
      [[6, 'objected', 'consent-withdrawn']],
    );
  });

  test.each(TO)('to %s: on a tie the objection wins', (to) => {
    holds(MARKETING, [object(3, to), give(3)], [[3, 'objected', 'consent-withdrawn']]);
    holds(
      DOUBLE_OPT_IN,
      [give(2), confirm(4), object(4, to)],
      [[4, 'objected', 'consent-withdrawn']],
    );
  });

  test('a consent that does not count lifts nothing', () => {
    const marketing = rules({ marketing: true, minimumEvidence: 'notice' });
    holds(marketing, [object(2), give(3)], [[4, 'objected', 'evidence-missing']]);
  });

  test.each(TO)(
    'to %s: also ends every grant that lies before it; taking it back revives nothing',
    (to) => {
      holds(
        MARKETING,
        [give(2), object(3, to), takeBack(5, to)],
        [
          [2, 'allowed'],
          [3, 'objected', 'consent-withdrawn'],
          [5, 'consent-withdrawn'],
        ],
      );
      holds(DOUBLE_OPT_IN, [give(2), object(3, to), takeBack(5, to)], [[6, 'consent-withdrawn']]);
      holds(
        MARKETING,
        [give(2, { expires: 2.5 }), object(3, to), takeBack(5, to)],
        [[6, 'consent-withdrawn']],
      );
      const evidenced = rules({ marketing: true, minimumEvidence: 'notice' });
      holds(evidenced, [give(2), object(3, to), takeBack(5, to)], [[6, 'consent-withdrawn']]);
    },
  );

  test('also a grant that arrives late', () => {
    holds(
      MARKETING,
      [object(3), takeBack(5), give(2)],
      [
        [2, 'allowed'],
        [6, 'consent-withdrawn'],
      ],
    );
  });

  test('a grant that it does not cover is left alone', () => {
    holds(MARKETING, [give(2), object(1), takeBack(1.5)], [[3, 'allowed']]);
    holds(PLAIN, [give(2), object(3, 'marketing')], [[4, 'allowed']]);
  });

  test('a no that was said before it keeps its name', () => {
    holds(MARKETING, [give(2), refuse(3), object(4), takeBack(5)], [[6, 'consent-refused']]);
  });

  test('the bases beside it come back once it is taken back', () => {
    holds(
      MARKETING,
      [set('contract', 2), object(3), takeBack(5)],
      [
        [4, 'objected'],
        [5, 'allowed'],
      ],
    );
    holds(MARKETING, [set('legitimate-interests', 2), object(3), takeBack(5)], [[5, 'allowed']]);
  });

  test('each is taken back by itself', () => {
    const both = [set('contract', 1), object(2, 'marketing'), object(2, 'this purpose')];
    holds(MARKETING, [...both, takeBack(3, 'marketing')], [[4, 'objected']]);
    holds(MARKETING, [...both, takeBack(3, 'this purpose')], [[4, 'objected']]);
    holds(
      MARKETING,
      [...both, takeBack(3, 'marketing'), takeBack(4, 'this purpose')],
      [
        [3, 'objected'],
        [4, 'allowed'],
      ],
    );
  });

  test('it can be raised again, and a consent must then come after that', () => {
    holds(
      MARKETING,
      [object(2), give(3), object(4)],
      [
        [3, 'allowed'],
        [4, 'objected', 'consent-withdrawn'],
      ],
    );
    holds(
      MARKETING,
      [object(2), takeBack(3), object(4), set('contract', 1)],
      [
        [3, 'allowed'],
        [4, 'objected'],
      ],
    );
  });
});

describe('Objection to another purpose', () => {
  test.each(['legitimate-interests', 'public-task'] as const)(
    'blocks %s until overruled or taken back',
    (basis) => {
      holds(
        PLAIN,
        [set(basis, 2), object(3), uphold(basis, 4)],
        [
          [3, 'objected'],
          [4, 'allowed'],
        ],
      );
      holds(
        PLAIN,
        [set(basis, 2), object(3), takeBack(4)],
        [
          [3, 'objected'],
          [4, 'allowed'],
        ],
      );
    },
  );

  test('overruled for one basis it still blocks the other, and in its own right no third', () => {
    holds(
      PLAIN,
      [set('public-task', 2), object(3), uphold('legitimate-interests', 4)],
      [[5, 'objected']],
    );
    holds(
      PLAIN,
      [
        set('legitimate-interests', 2),
        object(3),
        uphold('legitimate-interests', 4),
        end('legitimate-interests', 5),
      ],
      [[6, 'basis-ended']],
    );
  });

  test('overruled before it was raised it is not', () => {
    holds(
      PLAIN,
      [set('public-task', 2), uphold('public-task', 3), object(4)],
      [
        [3, 'allowed'],
        [4, 'objected'],
      ],
    );
    holds(
      PLAIN,
      [set('public-task', 2), object(3), uphold('public-task', 4), object(5)],
      [
        [4, 'allowed'],
        [5, 'objected'],
      ],
    );
  });

  test('upholding a basis that was never asserted asserts nothing', () => {
    holds(PLAIN, [object(2), uphold('legitimate-interests', 3)], [[4, 'no-basis']]);
  });

  test('ends a consent for it given before, and taking it back does not give it again', () => {
    holds(
      PLAIN,
      [give(2), object(3), takeBack(5)],
      [
        [2, 'allowed'],
        [3, 'objected', 'consent-withdrawn'],
        [5, 'consent-withdrawn'],
      ],
    );
    holds(PLAIN, [give(3), object(3), takeBack(5)], [[6, 'consent-withdrawn']]);
  });

  test('leaves a consent given after it', () => {
    holds(PLAIN, [object(2), give(3)], [[3, 'allowed']]);
    holds(
      PLAIN,
      [set('legitimate-interests', 1), object(2), give(3), withdraw(4)],
      [
        [3, 'allowed'],
        [4, 'objected', 'consent-withdrawn'],
      ],
    );
  });

  test.each(['contract', 'legal-obligation', 'vital-interests'] as const)(
    'is recorded without effect on %s',
    (basis) => {
      holds(PLAIN, [set(basis, 2), object(3)], [[4, 'allowed']]);
    },
  );

  test('a consent that it ended blocks what it blocks, also once it is overruled', () => {
    const told = [set('public-task', 1), give(2), object(3), uphold('public-task', 4)];
    holds(PLAIN, told, [[5, 'consent-withdrawn']]);
  });
});

describe('Restriction', () => {
  test('blocks every basis but consent', () => {
    for (const basis of [
      'contract',
      'legal-obligation',
      'vital-interests',
      'public-task',
      'legitimate-interests',
    ] as const)
      holds(
        PLAIN,
        [set(basis, 2), restrict(3)],
        [
          [2, 'allowed'],
          [3, 'restricted'],
        ],
      );
  });

  test('blocks all but a consent given for that purpose after it', () => {
    holds(PLAIN, [give(2), restrict(3)], [[4, 'restricted']]);
    holds(
      PLAIN,
      [restrict(3), give(4)],
      [
        [3, 'restricted', 'no-basis'],
        [4, 'allowed'],
      ],
    );
    holds(PLAIN, [restrict(3), give(3)], [[3, 'restricted']]);
    holds(PLAIN, [restrict(3), give(4, { purpose: 'study' })], [[5, 'restricted', 'no-basis']]);
  });

  test('a renewal is no new consent', () => {
    holds(PLAIN, [give(2, { expires: 6 }), restrict(3), renew(4, 9)], [[5, 'restricted']]);
  });

  test('holds again where that consent ends', () => {
    holds(
      PLAIN,
      [set('contract', 1), restrict(2), give(3), withdraw(4)],
      [
        [3, 'allowed'],
        [4, 'restricted'],
      ],
    );
  });

  test('optionally covers only some purposes', () => {
    holds(PLAIN, [give(2), restrict(3, ['news', 'study'])], [[4, 'restricted']]);
    holds(PLAIN, [give(2), restrict(3, ['study'])], [[4, 'allowed']]);
  });

  test('ends where it is lifted; a later one holds', () => {
    holds(
      PLAIN,
      [give(2), restrict(3), restrict(3, ['news']), lift(5)],
      [
        [4, 'restricted'],
        [5, 'allowed'],
      ],
    );
    holds(
      PLAIN,
      [give(2), restrict(3), lift(5), restrict(6)],
      [
        [5, 'allowed'],
        [6, 'restricted'],
      ],
    );
  });

  test('a second one asks for a consent after it too', () => {
    holds(
      PLAIN,
      [restrict(2), give(3), restrict(4)],
      [
        [3, 'allowed'],
        [4, 'restricted'],
      ],
    );
  });

  test('withdrawals and objections are always recorded, and name the answer once it is lifted', () => {
    holds(
      PLAIN,
      [give(2), restrict(3), withdraw(4), lift(6)],
      [
        [4, 'restricted', 'consent-withdrawn'],
        [6, 'consent-withdrawn'],
      ],
    );
    holds(
      MARKETING,
      [set('contract', 2), restrict(3), object(4), lift(6)],
      [
        [4, 'restricted', 'objected'],
        [6, 'objected'],
      ],
    );
  });
});

describe('The latest fact that counts names the code', () => {
  test.each([
    ['refused, then withdrawn', [refuse(2), withdraw(3)], 'consent-withdrawn'],
    ['withdrawn, then refused', [withdraw(2), refuse(3)], 'consent-refused'],
    ['refused, then unknown', [refuse(2), unknown(3)], 'consent-unknown'],
    ['given, then unknown', [give(2), unknown(3)], 'consent-unknown'],
    ['unknown, then given', [unknown(2), give(3)], 'allowed'],
    ['only asked for', [request(2)], 'consent-requested'],
    ['refused, then asked again', [refuse(2), request(3)], 'consent-refused'],
    ['asked, then refused', [request(2), refuse(3)], 'consent-refused'],
    ['expired, then asked', [give(1, { expires: 2 }), request(3)], 'consent-expired'],
    ['refused and withdrawn at once', [refuse(2), withdraw(2)], 'consent-refused'],
  ] as const)('%s', (_, told, code) => {
    holds(PLAIN, told, [[5, code]]);
  });

  test('given but not yet confirmed: confirmation-pending', () => {
    holds(DOUBLE_OPT_IN, [request(2), give(3)], [[4, 'confirmation-pending']]);
    holds(DOUBLE_OPT_IN, [give(2), request(3)], [[4, 'confirmation-pending']]);
  });
});

describe('Spans', () => {
  test('one for each change, from the first fact that bears on the purpose', () => {
    const facts = fold(
      personFacts,
      history([registered(1), give(3), give(4), withdraw(6), restrict(2)]),
    );
    expect(standingOf(facts, PLAIN).map(({ from, code }) => [from, code])).toEqual([
      [day(2), 'restricted'],
      [day(3), 'allowed'],
      // The same answer, by another grant.
      [day(4), 'allowed'],
      [day(6), 'restricted'],
    ]);
  });

  test('names the basis, since when it holds, and the event that proves it', () => {
    const told = [registered(1), set('legitimate-interests', 2), give(3), confirm(4)];
    const events = history(told);
    const at = (of: typeof PLAIN, asOf: number) => ask(of, told, asOf);
    const [, asserted, given, confirmed] = events.map(({ id, position }) => ({ id, position }));
    expect(at(rules({ doubleOptIn: true }), 2)).toMatchObject({
      basis: 'legitimate-interests',
      since: day(2),
      event: asserted,
    });
    expect(at(PLAIN, 5)).toMatchObject({ basis: 'consent', since: day(3), event: given });
    expect(at(rules({ doubleOptIn: true }), 5)).toMatchObject({
      basis: 'consent',
      since: day(4),
      event: confirmed,
    });
  });

  test('several valid bases: the first in the order of Art. 6(1)', () => {
    const told = [
      set('legitimate-interests', 1),
      set('vital-interests', 2),
      set('contract', 3),
      give(4),
    ];
    const bases = [1, 2, 3, 4].map((asOf) => ask(PLAIN, [registered(1), ...told], asOf).basis);
    expect(bases).toEqual(['legitimate-interests', 'vital-interests', 'contract', 'consent']);
  });

  test('where the answer is no, since when and by which event that is', () => {
    const told = [registered(1), give(2), withdraw(4)];
    const withdrawal = history(told)[2];
    expect(ask(PLAIN, told, 5)).toEqual({
      allowed: false,
      code: 'consent-withdrawn',
      reasons: ['consent-withdrawn'],
      since: day(4),
      event: { id: withdrawal?.id, position: withdrawal?.position },
    });
  });
});

test('the order of the codes', () => {
  expect(CODES.join(' ')).toBe(
    'unknown-subject erased restricted objected no-basis consent-requested consent-refused ' +
      'consent-withdrawn consent-expired consent-invalidated consent-unknown basis-ended evidence-missing ' +
      'confirmation-pending channel-not-covered topic-off channel-off no-contact-point allowed',
  );
  expect(inOrder(['topic-off', 'restricted', 'topic-off', 'no-basis'])).toEqual([
    'restricted',
    'no-basis',
    'topic-off',
  ]);
});
