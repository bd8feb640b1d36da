import { describe, expect, it } from '@jest/globals';
import type { NoticeId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Fact } from '#core/kernel/event.js';
import { fold } from '#core/kernel/model.js';
import { recorded } from '#core/kernel/spec.js';
import {
  addTallies,
  catalogueViolations,
  NO_ENTRIES,
  noticesOf,
  tallyByKey,
} from './catalogue-plan.js';
import { privacyCentre } from './privacy-centre.js';
import type { CatalogueFile } from './purposes.vocabulary.js';
import type {
  PurposeDefinition,
  PurposeEvent,
  PurposeId,
  TopicDefinition,
  TopicId,
} from './purposes.events.js';

const NOW = '2026-03-01T00:00:00.000Z' as Instant;
const LATER = '2026-03-01T00:02:00.000Z' as Instant;
const moments = { now: NOW, latest: '2026-03-01T00:01:00.000Z' as Instant };

const purpose: PurposeDefinition = {
  key: 'newsletter',
  texts: { en: 'Newsletter' },
  controllers: ['nordwind'],
  marketing: true,
  allowedBases: ['consent'],
  channels: ['email'],
  minimumEvidence: 'notice',
  doubleOptIn: true,
  explicitConsent: false,
  dataCategories: [],
  recipients: [],
};
const orders: PurposeDefinition = {
  ...purpose,
  key: 'orders',
  marketing: false,
  allowedBases: ['contract', 'legal-obligation'],
  channels: [],
  minimumEvidence: 'none',
  doubleOptIn: false,
};
const topic: TopicDefinition = {
  key: 'news',
  purpose: 'newsletter',
  unset: 'off',
  texts: {},
};
const notice = {
  purpose: 'newsletter',
  kind: 'consent',
  version: 1,
  language: 'en',
  text: 'I agree.',
  publishedAt: NOW,
} as const;

const file: CatalogueFile = {
  controllers: [{ key: 'nordwind', name: 'Nordwind GmbH' }],
  sources: [],
  purposes: [purpose, orders],
  notices: [notice],
  topics: [topic],
  defaults: { bases: [{ purpose: 'orders', basis: 'contract', status: 'established' }] },
};

const purposeId = 'pur_00000000-0000-8000-8000-000000000001' as PurposeId;
const topicId = 'tpc_00000000-0000-8000-8000-000000000001' as TopicId;
const noticeId = 'ntc_00000000-0000-8000-8000-000000000001' as NoticeId;

const centreOf = (...facts: readonly Fact<PurposeEvent>[]) =>
  fold(
    privacyCentre,
    facts.map((fact, index) => recorded(fact, index)),
  );

const empty = centreOf();
const applied = centreOf(
  { type: 'SettingsChanged', data: { controllers: file.controllers } },
  { type: 'PurposeDefined', data: { purposeId, ...purpose } },
  { type: 'PurposeDefined', data: { purposeId, ...orders } },
  { type: 'NoticePublished', data: { ...notice, noticeId, hash: 'a' } },
  { type: 'TopicDefined', data: { topicId, ...topic } },
  { type: 'SettingsChanged', data: { defaultBases: file.defaults?.bases } },
);
const retired = centreOf(
  { type: 'SettingsChanged', data: { controllers: file.controllers } },
  { type: 'PurposeDefined', data: { purposeId, ...purpose } },
  { type: 'TopicDefined', data: { topicId, ...topic } },
  { type: 'PurposeRetired', occurredAt: NOW, data: { purposeId, key: 'newsletter' } },
  { type: 'TopicRetired', occurredAt: NOW, data: { topicId, key: 'news' } },
);

/** `pointer code`, as the file would be refused. */
function violations(changed: Partial<CatalogueFile>, centre = empty): string[] {
  return catalogueViolations({ ...file, ...changed }, centre, moments).map(
    ({ pointer, code }) => `${pointer} ${code}`,
  );
}

describe('a catalogue file', () => {
  it('can be applied to an empty catalogue, and again', () => {
    expect(violations({})).toEqual([]);
    expect(violations({}, applied)).toEqual([]);
  });

  it('may refer to what is on record', () => {
    expect(violations({ controllers: [], purposes: [], notices: [] }, applied)).toEqual([]);
  });

  it('must not refer to what is nowhere', () => {
    expect(violations({ controllers: [], purposes: [purpose] })).toEqual([
      '/purposes/0/controllers/0 unknown-controller',
      '/defaults/bases/0/purpose unknown-purpose',
    ]);
    expect(violations({ purposes: [orders] })).toEqual([
      '/notices/0/purpose unknown-purpose',
      '/topics/0/purpose unknown-purpose',
    ]);
    expect(violations({ topics: [{ ...topic, purpose: 'constructor' }] })).toEqual([
      '/topics/0/purpose unknown-purpose',
    ]);
  });

  it('tells all that is wrong with a purpose', () => {
    const wrong: PurposeDefinition = {
      ...orders,
      key: 'marketing',
      channels: ['email'],
      minimumEvidence: 'notice',
      doubleOptIn: true,
      explicitConsent: true,
      expiresAfter: 'P0D' as PurposeDefinition['expiresAfter'],
    };
    expect(violations({ purposes: [purpose, orders, wrong] })).toEqual([
      '/purposes/2/key reserved-key',
      '/purposes/2/channels not-marketing',
      '/purposes/2/doubleOptIn consent-not-allowed',
      '/purposes/2/explicitConsent consent-not-allowed',
      '/purposes/2/minimumEvidence consent-not-allowed',
      '/purposes/2/expiresAfter empty-period',
    ]);
  });

  it('names nothing twice', () => {
    const [controller] = file.controllers as [CatalogueFile['controllers'][number]];
    expect(
      violations({
        controllers: [controller, controller],
        purposes: [purpose, orders, purpose],
        notices: [notice, { ...notice, language: 'de' }, { ...notice, text: 'Other words.' }],
        topics: [topic, topic],
        defaults: {
          bases: [
            { purpose: 'orders', basis: 'contract', status: 'established' },
            { purpose: 'orders', basis: 'contract', status: 'established' },
          ],
        },
      }),
    ).toEqual([
      '/controllers/1/key duplicate',
      '/purposes/2/key duplicate',
      '/notices/2/version duplicate',
      '/topics/1/key duplicate',
      '/defaults/bases/1/basis contradictory-bases',
    ]);
  });

  it('does not change what was published', () => {
    expect(violations({ notices: [{ ...notice, text: 'I agree!' }] }, applied)).toEqual([
      '/notices/0/text notice-immutable',
    ]);
    const publishedAt = '2020-01-01T00:00:00.000Z' as Instant;
    expect(violations({ notices: [{ ...notice, publishedAt }] }, applied)).toEqual([
      '/notices/0/publishedAt notice-immutable',
    ]);
    expect(violations({ notices: [{ ...notice, publishedAt: undefined }] }, applied)).toEqual([]);
  });

  it('publishes nothing tomorrow, and no consent for nothing', () => {
    expect(
      violations({
        notices: [
          { ...notice, publishedAt: LATER },
          { ...notice, purpose: undefined },
          { ...notice, purpose: undefined, kind: 'privacy-policy' },
        ],
      }),
    ).toEqual(['/notices/0/publishedAt in-the-future', '/notices/1/purpose required']);
  });

  it('leaves what is retired as it is', () => {
    const unchanged = { purposes: [purpose], topics: [topic], notices: [], defaults: undefined };
    expect(violations(unchanged, retired)).toEqual([]);
    expect(
      violations(
        {
          ...unchanged,
          purposes: [{ ...purpose, texts: { en: 'Other' } }],
          topics: [
            { ...topic, unset: 'follows-purpose' },
            { ...topic, key: 'more-news' },
          ],
        },
        retired,
      ),
    ).toEqual([
      '/purposes/0/key purpose-retired',
      '/topics/0/purpose purpose-retired',
      '/topics/0/key topic-retired',
      '/topics/1/purpose purpose-retired',
    ]);
  });

  it('moves no topic', () => {
    expect(violations({ topics: [{ ...topic, purpose: 'orders' }] }, applied)).toEqual([
      '/topics/0/purpose topic-moved',
    ]);
  });

  it('has defaults that every registration can be given', () => {
    expect(
      violations({
        defaults: {
          bases: [
            { purpose: 'orders', basis: 'legitimate-interests', status: 'asserted' },
            { purpose: 'orders', basis: 'contract', status: 'asserted' },
            { purpose: 'orders', basis: 'legal-obligation', status: 'established' },
            {
              purpose: 'orders',
              basis: 'legal-obligation',
              status: 'established',
              reference: '§ 147 AO',
            },
          ],
        },
      }),
    ).toEqual([
      '/defaults/bases/0/basis basis-not-allowed',
      '/defaults/bases/1/status status-not-of-basis',
      '/defaults/bases/2/reference reference-required',
      '/defaults/bases/3/basis contradictory-bases',
    ]);
  });

  it('does not take away the basis that a default rests on', () => {
    const changed = { ...orders, allowedBases: ['legal-obligation'] as const };
    expect(violations({ purposes: [changed], defaults: undefined }, applied)).toEqual([
      '/purposes/0/allowedBases basis-is-default',
    ]);
    expect(violations({ purposes: [changed], defaults: { bases: [] } }, applied)).toEqual([]);
    expect(violations({ purposes: [changed] }, applied)).toEqual([
      '/defaults/bases/0/basis basis-not-allowed',
    ]);
  });
});

describe('the plan', () => {
  it('gathers what belongs to one notice', () => {
    const policy = { ...notice, purpose: undefined, kind: 'privacy-policy' } as const;
    const german = { ...notice, language: 'de' };
    expect(noticesOf({ ...file, notices: [notice, policy, german] })).toEqual([
      { purpose: 'newsletter', kind: 'consent', words: [notice, german] },
      { purpose: undefined, kind: 'privacy-policy', words: [policy] },
    ]);
  });

  it('counts', () => {
    const before = [
      { key: 'a', name: 'A' },
      { key: 'b', name: 'B' },
    ];
    const entries = [
      { key: 'a', name: 'A' },
      { key: 'b', name: 'Bee' },
      { key: 'c', name: 'C' },
    ];
    const tally = tallyByKey(entries, before, ({ key }) => key);
    expect(tally).toEqual({ defined: 1, revised: 1, unchanged: 1 });
    expect(addTallies(tally, tally)).toEqual({ defined: 2, revised: 2, unchanged: 2 });
    expect(addTallies(tally, NO_ENTRIES)).toEqual(tally);
  });
});
