import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Fact } from '#core/kernel/event.js';
import type { NoticeId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { given, recorded, retryDecidesNothingNew } from '#core/kernel/spec.js';
import {
  acceptable,
  applyPurpose,
  applyTopic,
  changeSettings,
  definePurpose,
  defineTopic,
  mustBeKnown,
  publishNotice,
  retirePurpose,
  retireTopic,
  revisePurpose,
  reviseTopic,
} from './catalogue.js';
import { INITIAL_SOURCES, privacyCentre } from './privacy-centre.js';
import type {
  PurposeDefinition,
  PurposeEvent,
  PurposeId,
  TopicDefinition,
  TopicId,
} from './purposes.events.js';

const at = (text: string) => `${text}T00:00:00.000Z` as Instant;
const NOW = at('2026-03-01');

const purposeId = 'pur_00000000-0000-8000-8000-000000000001' as PurposeId;
const topicId = 'tpc_00000000-0000-8000-8000-000000000001' as TopicId;
const noticeId = 'ntc_00000000-0000-8000-8000-000000000001' as NoticeId;

const newsletter: PurposeDefinition = {
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
const other: PurposeDefinition = { ...newsletter, texts: { en: 'News by e-mail' } };

const topic: TopicDefinition = {
  key: 'product-news',
  purpose: 'newsletter',
  unset: 'off',
  texts: {},
};

const notice = {
  noticeId,
  purpose: 'newsletter',
  kind: 'consent',
  version: 1,
  language: 'en',
} as const;
const words = { ...notice, text: 'I agree.', hash: 'a' };

const defined: Fact<PurposeEvent> = { type: 'PurposeDefined', data: { purposeId, ...newsletter } };
const topicDefined: Fact<PurposeEvent> = { type: 'TopicDefined', data: { topicId, ...topic } };
const retired = (moment: Instant): Fact<PurposeEvent> => ({
  type: 'PurposeRetired',
  occurredAt: moment,
  data: { purposeId, key: 'newsletter' },
});
const topicRetired = (moment: Instant): Fact<PurposeEvent> => ({
  type: 'TopicRetired',
  occurredAt: moment,
  data: { topicId, key: 'product-news' },
});
const published: Fact<PurposeEvent> = {
  type: 'NoticePublished',
  occurredAt: NOW,
  data: { ...words, publishedAt: NOW },
};

describe('defining a purpose', () => {
  it('records it', () => {
    given(privacyCentre).when(definePurpose(purposeId, newsletter)).then(defined);
  });
  it('is nothing where it stands so', () => {
    given(privacyCentre, defined).when(definePurpose(purposeId, newsletter)).then();
  });
  it('is nothing for the same in another order of keys', () => {
    const { key, ...rest } = newsletter;
    given(privacyCentre, defined)
      .when(definePurpose(purposeId, { ...rest, key }))
      .then();
  });
  it('is refused where it stands otherwise', () => {
    given(privacyCentre, defined)
      .when(definePurpose(purposeId, other))
      .thenRefused('purpose-exists');
  });
  it('knows no key that is only a word of the language', () => {
    const definition = { ...newsletter, key: 'constructor' };
    given(privacyCentre)
      .when(definePurpose(purposeId, definition))
      .then({ type: 'PurposeDefined', data: { purposeId, ...definition } });
  });
});

describe('revising a purpose', () => {
  it('records the whole definition', () => {
    given(privacyCentre, defined)
      .when(revisePurpose(other))
      .then({ type: 'PurposeRevised', data: { purposeId, ...other } });
  });
  it('is nothing where it stands so', () => {
    given(privacyCentre, defined).when(revisePurpose(newsletter)).then();
  });
  it('needs the purpose', () => {
    given(privacyCentre).when(revisePurpose(newsletter)).thenRefused('unknown-purpose');
    given(privacyCentre).when(mustBeKnown('purposes', 'newsletter')).thenRefused('unknown-purpose');
    given(privacyCentre, defined).when(mustBeKnown('purposes', 'newsletter')).then();
  });
  it('is refused once an end is set', () => {
    given(privacyCentre, defined, retired(at('2030-01-01')))
      .when(revisePurpose(other))
      .thenRefused('purpose-retired');
  });
  it('from a file defines or revises', () => {
    given(privacyCentre).when(applyPurpose(purposeId, newsletter)).then(defined);
    given(privacyCentre, defined)
      .when(applyPurpose(purposeId, other))
      .then({ type: 'PurposeRevised', data: { purposeId, ...other } });
    given(privacyCentre, defined).when(applyPurpose(purposeId, newsletter)).then();
  });
});

describe('retiring a purpose', () => {
  it('counts from now where nothing is said', () => {
    given(privacyCentre, defined)
      .when(retirePurpose('newsletter', undefined, NOW))
      .then(retired(NOW));
  });
  it('may lie ahead', () => {
    const ahead = at('2027-01-01');
    given(privacyCentre, defined)
      .when(retirePurpose('newsletter', ahead, NOW))
      .then(retired(ahead));
  });
  it('again is nothing', () => {
    const history = [defined, retired(at('2026-02-01'))];
    given(privacyCentre, ...history)
      .when(retirePurpose('newsletter', undefined, NOW))
      .then();
    given(privacyCentre, ...history)
      .when(retirePurpose('newsletter', at('2026-02-01'), NOW))
      .then();
  });
  it('can be brought forward', () => {
    given(privacyCentre, defined, retired(at('2027-01-01')))
      .when(retirePurpose('newsletter', undefined, NOW))
      .then(retired(NOW));
  });
  it('can not be put off', () => {
    given(privacyCentre, defined, retired(at('2026-02-01')))
      .when(retirePurpose('newsletter', at('2026-04-01'), NOW))
      .thenRefused('purpose-retired');
  });
  it('needs the purpose', () => {
    given(privacyCentre)
      .when(retirePurpose('newsletter', undefined, NOW))
      .thenRefused('unknown-purpose');
  });
});

describe('publishing a notice', () => {
  it('records the words, now where nothing is said', () => {
    given(privacyCentre).when(publishNotice(words, NOW)).then(published);
  });
  it('happened when it was published', () => {
    const publishedAt = at('2024-05-01');
    given(privacyCentre)
      .when(publishNotice({ ...words, publishedAt }, NOW))
      .then({
        ...published,
        occurredAt: publishedAt,
        data: { ...words, publishedAt },
      } as Fact<PurposeEvent>);
  });
  it('is nothing for the same words', () => {
    given(privacyCentre, published)
      .when(publishNotice(words, at('2026-04-01')))
      .then();
    given(privacyCentre, published)
      .when(publishNotice({ ...words, publishedAt: NOW }, at('2026-04-01')))
      .then();
  });
  it('never changes words or time', () => {
    given(privacyCentre, published)
      .when(publishNotice({ ...words, text: 'I agree!', hash: 'b' }, NOW))
      .thenRefused('notice-immutable');
    given(privacyCentre, published)
      .when(publishNotice({ ...words, publishedAt: at('2020-01-01') }, NOW))
      .thenRefused('notice-immutable');
  });
  it('adds languages and versions', () => {
    const german = { ...words, language: 'de', text: 'Ich willige ein.', hash: 'c' };
    const second = { ...words, version: 2, text: 'I agree. (2)', hash: 'd' };
    for (const next of [german, second])
      given(privacyCentre, published)
        .when(publishNotice(next, NOW))
        .then({ type: 'NoticePublished', occurredAt: NOW, data: { ...next, publishedAt: NOW } });
  });
});

describe('topics', () => {
  const follows: TopicDefinition = { ...topic, unset: 'follows-purpose' };

  it('are defined once', () => {
    given(privacyCentre).when(defineTopic(topicId, topic)).then(topicDefined);
    given(privacyCentre, topicDefined).when(defineTopic(topicId, topic)).then();
    given(privacyCentre, topicDefined)
      .when(defineTopic(topicId, follows))
      .thenRefused('topic-exists');
  });
  it('are revised as a whole', () => {
    given(privacyCentre, topicDefined)
      .when(reviseTopic(follows))
      .then({ type: 'TopicDefined', data: { topicId, ...follows } });
    given(privacyCentre, topicDefined).when(reviseTopic(topic)).then();
    given(privacyCentre).when(reviseTopic(topic)).thenRefused('unknown-topic');
    given(privacyCentre).when(mustBeKnown('topics', 'product-news')).thenRefused('unknown-topic');
  });
  it('stay with their purpose', () => {
    given(privacyCentre, topicDefined)
      .when(reviseTopic({ ...topic, purpose: 'profiling' }))
      .thenRefused('topic-moved');
  });
  it('from a file are defined or revised', () => {
    given(privacyCentre).when(applyTopic(topicId, topic)).then(topicDefined);
    given(privacyCentre, topicDefined)
      .when(applyTopic(topicId, follows))
      .then({ type: 'TopicDefined', data: { topicId, ...follows } });
  });
  it('end as purposes do', () => {
    given(privacyCentre, topicDefined)
      .when(retireTopic('product-news', undefined, NOW))
      .then(topicRetired(NOW));
    given(privacyCentre, topicDefined, topicRetired(NOW))
      .when(retireTopic('product-news', undefined, at('2026-04-01')))
      .then();
    given(privacyCentre, topicDefined, topicRetired(NOW))
      .when(retireTopic('product-news', at('2026-04-01'), NOW))
      .thenRefused('topic-retired');
    given(privacyCentre, topicDefined, topicRetired(NOW))
      .when(reviseTopic(follows))
      .thenRefused('topic-retired');
    given(privacyCentre)
      .when(retireTopic('product-news', undefined, NOW))
      .thenRefused('unknown-topic');
  });
});

describe('settings', () => {
  const nordwind = { key: 'nordwind', name: 'Nordwind GmbH' };
  const renamed = { key: 'nordwind', name: 'Nordwind SE' };
  const basis = { purpose: 'orders', basis: 'contract', status: 'established' } as const;

  it('add and replace controllers by key', () => {
    const changed: Fact<PurposeEvent> = {
      type: 'SettingsChanged',
      data: { controllers: [nordwind] },
    };
    given(privacyCentre)
      .when(changeSettings({ controllers: [nordwind] }))
      .then(changed);
    given(privacyCentre, changed)
      .when(changeSettings({ controllers: [nordwind] }))
      .then();
    given(privacyCentre, changed)
      .when(changeSettings({ controllers: [renamed] }))
      .then({ type: 'SettingsChanged', data: { controllers: [renamed] } });
  });
  it('add sources', () => {
    given(privacyCentre)
      .when(changeSettings({ sources: ['trade-fair', 'api'] }))
      .then({ type: 'SettingsChanged', data: { sources: [...INITIAL_SOURCES, 'trade-fair'] } });
    given(privacyCentre)
      .when(changeSettings({ sources: ['api'] }))
      .then();
  });
  it('replace defaults as a whole', () => {
    const changed: Fact<PurposeEvent> = {
      type: 'SettingsChanged',
      data: { defaultBases: [basis] },
    };
    given(privacyCentre)
      .when(changeSettings({ defaultBases: [basis] }))
      .then(changed);
    given(privacyCentre, changed)
      .when(changeSettings({ defaultBases: [] }))
      .then({ type: 'SettingsChanged', data: { defaultBases: [] } });
    given(privacyCentre)
      .when(changeSettings({ defaultBases: [] }))
      .then();
  });
  it('have an end', () => {
    const many = Array.from({ length: 400 }, (_, n) => ({ key: `c${n}`, name: 'x'.repeat(200) }));
    given(privacyCentre)
      .when(changeSettings({ controllers: many }))
      .thenRefused('settings-too-large');
  });
});

describe('what is wrong', () => {
  it('is refused as it was found', () => {
    const violation = { pointer: '/key', code: 'reserved-key', detail: '' };
    given(privacyCentre)
      .when(acceptable([violation]))
      .thenRefused('reserved-key');
    given(privacyCentre).when(acceptable([])).then();
  });
});

describe('a retry decides nothing new', () => {
  const history = fc.subarray([defined, topicDefined, published, retired(at('2026-02-01'))]);
  const decisions = [
    definePurpose(purposeId, newsletter),
    definePurpose(purposeId, other),
    revisePurpose(other),
    applyPurpose(purposeId, other),
    retirePurpose('newsletter', undefined, NOW),
    retirePurpose('newsletter', at('2025-01-01'), NOW),
    retirePurpose('newsletter', at('2027-01-01'), NOW),
    publishNotice(words, NOW),
    publishNotice({ ...words, language: 'de' }, NOW),
    defineTopic(topicId, topic),
    reviseTopic({ ...topic, unset: 'follows-purpose' }),
    applyTopic(topicId, { ...topic, unset: 'follows-purpose' }),
    retireTopic('product-news', undefined, NOW),
    changeSettings({ sources: ['trade-fair'] }),
    changeSettings({ controllers: [{ key: 'a', name: 'A' }] }),
  ];
  it('whatever was recorded before', () => {
    fc.assert(
      fc.property(history, fc.constantFrom(...decisions), (facts, decide) => {
        const events = facts.map((fact, index) => recorded(fact, index));
        retryDecidesNothingNew(privacyCentre, events, decide);
      }),
    );
  });
});

describe('the catalogue', () => {
  it('names revision, end and last change', () => {
    given(privacyCentre, defined, retired(NOW))
      .when((centre) => {
        expect(centre.purposes['newsletter']).toMatchObject({ revision: 0, retiredAt: NOW });
        expect(centre.position).toBe('2');
        expect(Object.values(centre.revisions)).toEqual([1]);
        return [];
      })
      .then();
  });
  it('keeps the end of a topic that was defined again', () => {
    given(privacyCentre, topicDefined, topicRetired(NOW), topicDefined)
      .when(({ topics }) => {
        expect(topics['product-news']).toMatchObject({ revision: 2, retiredAt: NOW });
        return [];
      })
      .then();
  });
});
