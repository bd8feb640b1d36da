import { describe, expect, test } from '@jest/globals';
import type { Fact } from '#core/kernel/event.js';
import type { ContactPointId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { given, recorded } from '#core/kernel/spec.js';
import type { SubjectEvent } from './subjects.events.js';
import {
  addContactPoint,
  liftRestriction,
  mustBeRegistered,
  rectify,
  register,
  removeContactPoint,
  restrict,
  subject,
} from './subjects.js';

const subjectId = 'sub_00000000-0000-7000-8000-000000000001' as SubjectId;
const cpt = (n: number) => `cpt_00000000-0000-7000-8000-00000000000${n}` as ContactPointId;
const day = (n: number) => `2026-03-0${n}T12:00:00.000Z` as Instant;

const registered: Fact<SubjectEvent> = { type: 'SubjectRegistered', data: { subjectId } };
const email = { contactPointId: cpt(1), kind: 'email', value: 'ada@example.org' } as const;
const phone = { contactPointId: cpt(2), kind: 'phone', value: '+4930123456' } as const;
const added: Fact<SubjectEvent> = { type: 'ContactPointAdded', data: email };
const removed: Fact<SubjectEvent> = {
  type: 'ContactPointRemoved',
  data: { contactPointId: cpt(1), kind: 'email' },
};
const verified: Fact<SubjectEvent> = {
  type: 'ContactPointVerified',
  data: { contactPointId: cpt(1), kind: 'email' },
};
const restricted = (n: number, purposes?: string[]): Fact<SubjectEvent> => ({
  type: 'ProcessingRestricted',
  occurredAt: day(n),
  data: { ground: 'unlawful', purposes },
});
const lifted: Fact<SubjectEvent> = { type: 'RestrictionLifted', data: {} };

describe('a person is registered', () => {
  test('with all that is known of them: identity first, then each contact point in the order given', () => {
    const identity = {
      subjectId,
      collection: { from: 'third-party', collectedAt: day(1) },
      origin: 'a partner',
      language: 'de',
      name: 'Ada',
      externalRefs: [{ system: 'crm', id: '1' }],
    } as const;
    given(subject)
      .when(register({ ...identity, contactPoints: [phone, email] }))
      .then(
        { type: 'SubjectRegistered', data: identity },
        { type: 'ContactPointAdded', data: phone },
        { type: 'ContactPointAdded', data: email },
      );
  });

  test('with nothing but an id', () => {
    given(subject)
      .when(register({ subjectId, contactPoints: [] }))
      .then(registered);
  });

  test('once: a second registration is refused, and names the person', () => {
    given(subject, registered)
      .when(register({ subjectId, contactPoints: [email] }))
      .thenRefused('already-registered');
    expect(() =>
      register({ subjectId, contactPoints: [] })(fold(subject, [recorded(registered)])),
    ).toThrow(expect.objectContaining({ kind: 'conflict', more: { evidence: { subjectId } } }));
  });
});

describe('contact points', () => {
  test('one is added', () => {
    given(subject, registered).when(addContactPoint(email)).then(added);
  });

  test('one that is there is not added again, nor one that was verified', () => {
    given(subject, registered, added).when(addContactPoint(email)).then();
    given(subject, registered, added, verified).when(addContactPoint(email)).then();
  });

  test('one that was removed can come back', () => {
    given(subject, registered, added, removed).when(addContactPoint(email)).then(added);
  });

  test('one is removed, whether verified or not', () => {
    given(subject, registered, added)
      .when(removeContactPoint(cpt(1)))
      .then(removed);
    given(subject, registered, added, verified)
      .when(removeContactPoint(cpt(1)))
      .then(removed);
  });

  test('one that is not there can not be removed', () => {
    given(subject, registered)
      .when(removeContactPoint(cpt(1)))
      .thenRefused('unknown-contact-point');
    given(subject, registered, added, removed)
      .when(removeContactPoint(cpt(1)))
      .thenRefused('unknown-contact-point');
  });
});

describe('rectification', () => {
  test('is always recorded: what the name was before is nothing that a decision may look at', () => {
    const rectified: Fact<SubjectEvent> = {
      type: 'SubjectRectified',
      data: { name: 'Ada', language: 'en' },
    };
    given(subject, registered)
      .when(rectify({ name: 'Ada', language: 'en' }))
      .then(rectified);
    given(subject, registered, rectified)
      .when(rectify({ name: 'Ada', language: 'en' }))
      .then(rectified);
  });

  test('of the name alone leaves the language that is known', () => {
    const german: Fact<SubjectEvent> = {
      type: 'SubjectRegistered',
      data: { subjectId, language: 'de' },
    };
    const facts = [german, { type: 'SubjectRectified' as const, data: { name: 'Ada' } }];
    const state = fold(
      subject,
      facts.map((fact, index) => recorded(fact, index)),
    );
    expect(state.language).toBe('de');
  });
});

describe('restriction of processing (Art. 18)', () => {
  test('of everything', () => {
    given(subject, registered)
      .when(restrict({ ground: 'unlawful', at: day(1) }))
      .then(restricted(1));
  });

  test('of some purposes, with a note', () => {
    given(subject, registered)
      .when(restrict({ ground: 'unlawful', purposes: ['news'], note: 'a letter', at: day(1) }))
      .then({
        type: 'ProcessingRestricted',
        occurredAt: day(1),
        data: { ground: 'unlawful', purposes: ['news'], note: 'a letter' },
      });
  });

  test('another one beside it, a later one, and one for other purposes are facts of their own', () => {
    const before = [registered, restricted(1)];
    given(subject, ...before)
      .when(restrict({ ground: 'legal-claims', at: day(1) }))
      .then({ ...restricted(1), data: { ground: 'legal-claims' } } as Fact<SubjectEvent>);
    given(subject, ...before)
      .when(restrict({ ground: 'unlawful', at: day(2) }))
      .then(restricted(2));
    given(subject, ...before)
      .when(restrict({ ground: 'unlawful', purposes: ['news'], at: day(1) }))
      .then(restricted(1, ['news']));
  });

  test('an equal fact decides nothing, also once it was lifted', () => {
    given(subject, registered, restricted(1))
      .when(restrict({ ground: 'unlawful', at: day(1) }))
      .then();
    given(subject, registered, restricted(1, ['a', 'b']), lifted)
      .when(restrict({ ground: 'unlawful', purposes: ['b', 'a'], at: day(1) }))
      .then();
  });

  test('is lifted, all of it at once', () => {
    given(subject, registered, restricted(1), restricted(2, ['news']))
      .when(liftRestriction())
      .then({ type: 'RestrictionLifted', data: {} });
  });

  test('can not be lifted where there is none, or none any more', () => {
    given(subject, registered).when(liftRestriction()).thenRefused('not-restricted');
    given(subject, registered, restricted(1), lifted)
      .when(liftRestriction())
      .thenRefused('not-restricted');
  });
});

test('every other command needs a person who is registered', () => {
  given(subject).when(mustBeRegistered()).thenRefused('unknown-subject');
  given(subject, registered).when(mustBeRegistered()).then();
  given(subject, registered)
    .when(mustBeRegistered([lifted]))
    .then(lifted);
});
