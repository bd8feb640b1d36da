import { describe, expect, it } from '@jest/globals';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Fact, Opened, Recorded } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import { erased } from '#core/kernel/pii.js';
import type { Position } from '#core/kernel/position.js';
import { recorded } from '#core/kernel/spec.js';
import { type ConsentEvent, consentEvents } from '#domains/consents/domain/consents.events.js';
import { type ErasureEvent, erasureEvents } from '#domains/erasure/domain/erasure.events.js';
import {
  type PreferenceEvent,
  preferenceEvents,
} from '#domains/preferences/domain/preferences.events.js';
import { type SubjectEvent, subjectEvents } from '#domains/subjects/domain/subjects.events.js';
import { itemOf, type PurposeScope, selected, type Telling } from './timeline.js';

type PersonEvent = ConsentEvent | ErasureEvent | PreferenceEvent | SubjectEvent;

const day = (n: number) => `2026-03-${String(n).padStart(2, '0')}T12:00:00.000Z` as Instant;
const position = (n: number) => String(n) as Position;

/** A stream, at positions 10, 20, 30 ... */
function stream(...facts: readonly Fact<PersonEvent>[]): Recorded[] {
  return facts.map((fact, index) =>
    recorded(fact as Fact, index, { position: position((index + 1) * 10) }),
  );
}

const asked = { purpose: 'newsletter', purposeRevision: 0 };
const given = { ...asked, noticeEvidence: 'none' } as const;

describe('selected', () => {
  const events = stream(
    { type: 'ConsentGiven', data: given, occurredAt: day(1) },
    { type: 'ConsentWithdrawn', data: asked, occurredAt: day(5) },
    // Learned late.
    { type: 'ConsentRequested', data: asked, occurredAt: day(3) },
  );
  const types = (selection: Parameters<typeof selected>[1]) =>
    selected(events, selection).map(({ type }) => type);

  it('keeps the order in which the ledger learned it', () => {
    expect(types({ knownAt: position(30) })).toEqual([
      'ConsentGiven',
      'ConsentWithdrawn',
      'ConsentRequested',
    ]);
  });

  it('asOf: what had happened at or before it, whenever it was learned', () => {
    expect(types({ knownAt: position(99), asOf: day(4) })).toEqual([
      'ConsentGiven',
      'ConsentRequested',
    ]);
    expect(types({ knownAt: position(99), asOf: day(1) })).toEqual(['ConsentGiven']);
    expect(types({ knownAt: position(99), asOf: '2026-03-01T11:59:59.999Z' as Instant })).toEqual(
      [],
    );
  });

  it('knownAt: what was learned at or before it, whenever it happened', () => {
    expect(types({ knownAt: position(20) })).toEqual(['ConsentGiven', 'ConsentWithdrawn']);
    expect(types({ knownAt: position(9) })).toEqual([]);
    expect(types({ knownAt: position(100) })).toHaveLength(3);
    expect(types({ knownAt: position(20), asOf: day(4) })).toEqual(['ConsentGiven']);
  });
});

describe('selected for a purpose', () => {
  const newsletter: PurposeScope = { key: 'newsletter', marketing: true, topics: ['news'] };
  const billing: PurposeScope = { key: 'billing', marketing: false, topics: [] };
  const operationId = 'op_00000000-0000-7000-8000-000000000000' as never;
  const contactPointId = 'cpt_00000000-0000-7000-8000-000000000000' as never;
  const cases: readonly [Fact<PersonEvent>, newsletter: boolean, billing: boolean][] = [
    [{ type: 'ConsentGiven', data: given }, true, false],
    [{ type: 'ConsentGiven', data: { ...given, purpose: 'billing' } }, false, true],
    [{ type: 'TopicSwitchedOn', data: { topic: 'news', channel: 'email' } }, true, false],
    [{ type: 'TopicSwitchedOn', data: { topic: 'other', channel: 'email' } }, false, false],
    [{ type: 'ObjectionRaised', data: { scope: 'marketing' } }, true, false],
    [{ type: 'ObjectionRaised', data: { scope: 'purpose', purpose: 'billing' } }, false, true],
    [{ type: 'ProcessingRestricted', data: { ground: 'unlawful' } }, true, true],
    [
      { type: 'ProcessingRestricted', data: { ground: 'unlawful', purposes: ['billing'] } },
      false,
      true,
    ],
    [{ type: 'RestrictionLifted', data: {} }, true, true],
    [{ type: 'ErasureApproved', data: { operationId } }, true, true],
    [{ type: 'ContactPointRemoved', data: { contactPointId, kind: 'email' } }, false, false],
    [{ type: 'SubjectRectified', data: { language: 'de' } }, false, false],
  ];

  it.each(cases)('%j', (fact, ofNewsletter, ofBilling) => {
    const events = stream(fact);
    const count = (purpose: PurposeScope) =>
      selected(events, { knownAt: position(10), purpose }).length;
    expect([count(newsletter), count(billing)]).toEqual([Number(ofNewsletter), Number(ofBilling)]);
  });
});

describe('an item', () => {
  const catalogue = joinCatalogues(consentEvents, erasureEvents, preferenceEvents, subjectEvents);
  const telling: Telling = {
    catalogue,
    names: { purposes: {}, topics: {} },
    language: 'en',
    reveal: false,
  };
  const [event] = stream({
    type: 'ConsentGiven',
    data: {
      ...given,
      collectionPoint: 'till-3',
      comment: 'asked for it by phone',
      evidence: erased,
    },
    occurredAt: day(1),
  }) as [Opened];

  it('says what happened, when, when it was learned, and by whom', () => {
    const { id, revision, recordedAt, interactionId, actor, source } = event;
    expect(itemOf({ ...event, receivedAt: day(2) }, telling)).toMatchObject({
      id,
      type: 'ConsentGiven',
      revision,
      position: '10',
      occurredAt: day(1),
      receivedAt: day(2),
      recordedAt,
      text: 'Consent given for newsletter',
      actor,
      source,
      receiptId: interactionId,
    });
  });

  it('has no personal field, but says which are erased', () => {
    expect(itemOf(event, telling).data).toEqual({
      ...given,
      collectionPoint: 'till-3',
      evidence: { erased: true },
    });
  });

  it('has all fields where they are revealed, in its data and not in its words', () => {
    const item = itemOf(event, { ...telling, reveal: true });
    expect(item.data).toEqual(event.data);
    expect(item.text).toBe('Consent given for newsletter');
  });
});
