import { describe, expect, it } from '@jest/globals';
import { type EventSpecification, joinCatalogues } from '#core/kernel/catalogue.js';
import { ledgerEvents } from '#core/ledger/ledger.events.js';
import { accessEvents } from '#domains/access/domain/access.events.js';
import { consentEvents } from '#domains/consents/domain/consents.events.js';
import { erasureEvents } from '#domains/erasure/domain/erasure.events.js';
import { preferenceEvents } from '#domains/preferences/domain/preferences.events.js';
import { purposeEvents } from '#domains/purposes/domain/purposes.events.js';
import { subjectEvents } from '#domains/subjects/domain/subjects.events.js';
import { type Names, sentenceOf } from './wording.js';
import { LANGUAGES } from './words.js';

const everything = joinCatalogues(
  ledgerEvents,
  accessEvents,
  consentEvents,
  erasureEvents,
  preferenceEvents,
  purposeEvents,
  subjectEvents,
);
const told = [...everything].flatMap(([type, specification]) =>
  LANGUAGES.map((language) => [type, language, specification] as const),
);

const names: Names = {
  purposes: {
    'e-marketing': { texts: { en: 'E-marketing', de: 'Werbung per E-Mail' } },
    swiss: { texts: { 'de-CH': 'Werbung' } },
  },
  topics: { 'product-news': { texts: { en: 'Product news', de: 'Produktneuheiten' } } },
};

const fieldsOf = ({ says }: EventSpecification) =>
  [...`${says.en} ${says.de}`.matchAll(/\{(\w+)\}/g)].map(([, field]) => field as string);

function sentence(type: string, data: object, language: 'en' | 'de' = 'en'): string {
  const specification = everything.get(type);
  if (!specification) throw new Error(`there is no ${type}`);
  return sentenceOf(specification, data as Record<string, unknown>, names, language);
}

describe('every event of every slice, told', () => {
  function isWhole(text: string): void {
    expect(text).toMatch(/^\S(.*\S)?$/);
    expect(text).not.toMatch(/[{}]|undefined|\s\s|\(\s|\s\)|\(\)|\s[:,]|:$/);
  }

  it.each(told)('%s in %s has no gap, whatever is missing', (_, language, specification) => {
    const fields = [...new Set(fieldsOf(specification))];
    const whole = Object.fromEntries(fields.map((field) => [field, `some-${field}`]));
    isWhole(sentenceOf(specification, {}, names, language));
    isWhole(sentenceOf(specification, whole, names, language));
    for (const missing of fields)
      isWhole(sentenceOf(specification, { ...whole, [missing]: undefined }, names, language));
  });

  it.each([...everything])('%s names no personal field', (_, specification) => {
    for (const field of fieldsOf(specification))
      expect(Object.keys(specification.sealed ?? {})).not.toContain(field);
  });
});

describe('a sentence', () => {
  it('names purposes and topics as the catalogue does, and their keys', () => {
    const data = { purpose: 'e-marketing' };
    expect(sentence('ConsentGiven', data)).toBe('Consent given for E-marketing [e-marketing]');
    expect(sentence('ConsentGiven', data, 'de')).toBe(
      'Einwilligung erteilt: Werbung per E-Mail [e-marketing]',
    );
    expect(sentence('TopicSwitchedOff', { topic: 'product-news', channel: 'email' }, 'de')).toBe(
      'Produktneuheiten [product-news] per E-Mail abbestellt',
    );
  });

  it('shows the key alone where there is no name in its language', () => {
    expect(sentence('ConsentGiven', { purpose: 'swiss' }, 'de')).toContain('Werbung [swiss]');
    expect(sentence('ConsentGiven', { purpose: 'swiss' })).toBe('Consent given for swiss');
    expect(sentence('ConsentGiven', { purpose: 'gone' })).toBe('Consent given for gone');
    expect(sentence('ConsentGiven', { purpose: 'constructor' })).toContain('constructor');
  });

  it('says codes in words', () => {
    const data = { basis: 'legitimate-interests', purpose: 'x', status: 'asserted' };
    expect(sentence('LegalBasisEstablished', data)).toBe(
      'Legal basis legitimate interests recorded for x: asserted',
    );
    expect(sentence('LegalBasisEstablished', data, 'de')).toBe(
      'Rechtsgrundlage berechtigte Interessen erfasst für x: geltend gemacht',
    );
    expect(sentence('ErasureRefused', { reason: 'legal-claims' }, 'de')).toBe(
      'Löschung abgelehnt: Rechtsansprüche',
    );
    expect(sentence('ErasureRequested', { ground: 'a-new-one' })).toBe(
      'Erasure requested: a-new-one',
    );
  });

  it('closes the gap that a missing field leaves', () => {
    expect(sentence('ObjectionRaised', { scope: 'marketing' })).toBe(
      'Objection raised (direct marketing)',
    );
    expect(sentence('ObjectionRaised', { scope: 'purpose', purpose: 'e-marketing' })).toBe(
      'Objection raised (purpose E-marketing [e-marketing])',
    );
    const published = { kind: 'privacy-policy', version: 2, language: 'en' };
    expect(sentence('NoticePublished', published)).toBe(
      'Notice published: privacy policy version 2 (en)',
    );
    expect(sentence('ProcessingRestricted', {})).toBe('Processing restricted');
    expect(sentence('ContactPointAdded', {})).toBe('Contact point added');
  });

  it('leaves what it fills in as it is', () => {
    const odd: Names = { purposes: { x: { texts: { en: 'A  {purpose} ( )' } } }, topics: {} };
    const specification = everything.get('ConsentGiven') as EventSpecification;
    expect(sentenceOf(specification, { purpose: 'x' }, odd, 'en')).toBe(
      'Consent given for A  {purpose} ( ) [x]',
    );
  });

  it('never fills in a personal field, sealed or clear', () => {
    const specification = {
      says: { en: 'Named {name}', de: 'Heißt {name}' },
      sealed: { name: 'identity' },
    } as const;
    for (const name of ['Erika', { sealed: 'AAAA' }, { erased: true }])
      expect(sentenceOf(specification, { name }, names, 'en')).toBe('Named');
  });
});
