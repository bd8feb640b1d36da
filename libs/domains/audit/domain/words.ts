import type { PersonalDataViewed, Role } from '#domains/access/domain/access.events.js';
import type { ErasureGround, RefusalReason } from '#domains/erasure/domain/erasure.events.js';
import type { Channel, LegalBasis, NoticeKind } from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind, RestrictionGround } from '#domains/subjects/domain/subjects.events.js';

/** The languages that a timeline can be told in. */
export const LANGUAGES = ['en', 'de'] as const;
export type Language = (typeof LANGUAGES)[number];

export type Words = Readonly<Record<Language, string>>;

/** Words for every code of a list: a code that is added to the list and has none does not compile. */
type Vocabulary<Code extends string> = Readonly<Record<Code, Words>>;

const legalBases: Vocabulary<LegalBasis> = {
  consent: { en: 'consent', de: 'Einwilligung' },
  contract: { en: 'contract', de: 'Vertrag' },
  'legal-obligation': { en: 'legal obligation', de: 'rechtliche Verpflichtung' },
  'vital-interests': { en: 'vital interests', de: 'lebenswichtige Interessen' },
  'public-task': { en: 'public task', de: 'öffentliche Aufgabe' },
  'legitimate-interests': { en: 'legitimate interests', de: 'berechtigte Interessen' },
};

const statuses: Vocabulary<'established' | 'asserted' | 'unknown'> = {
  established: { en: 'established', de: 'gegeben' },
  asserted: { en: 'asserted', de: 'geltend gemacht' },
  unknown: { en: 'unknown', de: 'unbekannt' },
};

const channels: Vocabulary<Channel> = {
  email: { en: 'e-mail', de: 'E-Mail' },
  sms: { en: 'SMS', de: 'SMS' },
  phone: { en: 'phone', de: 'Telefon' },
  post: { en: 'post', de: 'Post' },
  push: { en: 'push message', de: 'Push-Nachricht' },
};

const kinds: Vocabulary<ContactKind | NoticeKind> = {
  email: channels.email,
  phone: channels.phone,
  post: channels.post,
  consent: { en: 'consent', de: 'Einwilligung' },
  'privacy-policy': { en: 'privacy policy', de: 'Datenschutzerklärung' },
  'art-13': { en: 'information under Art. 13', de: 'Information nach Art. 13' },
  'art-14': { en: 'information under Art. 14', de: 'Information nach Art. 14' },
};

const grounds: Vocabulary<RestrictionGround | ErasureGround> = {
  'accuracy-contested': { en: 'accuracy contested', de: 'Richtigkeit bestritten' },
  unlawful: { en: 'processed unlawfully', de: 'unrechtmäßig verarbeitet' },
  'legal-claims': { en: 'needed for legal claims', de: 'für Rechtsansprüche benötigt' },
  'objection-pending': { en: 'objection pending', de: 'Widerspruch noch offen' },
  'no-longer-needed': { en: 'no longer needed', de: 'nicht mehr benötigt' },
  'consent-withdrawn': { en: 'consent withdrawn', de: 'Einwilligung widerrufen' },
  objected: { en: 'objection', de: 'Widerspruch' },
  'legal-obligation': legalBases['legal-obligation'],
  child: { en: 'data of a child', de: 'Daten eines Kindes' },
};

const reasons: Vocabulary<RefusalReason> = {
  'freedom-of-expression': {
    en: 'freedom of expression and information',
    de: 'freie Meinungsäußerung und Information',
  },
  'legal-obligation': legalBases['legal-obligation'],
  'public-health': { en: 'public health', de: 'öffentliche Gesundheit' },
  archiving: { en: 'archiving in the public interest', de: 'Archivzwecke' },
  'legal-claims': { en: 'legal claims', de: 'Rechtsansprüche' },
};

const scopes: Vocabulary<'marketing' | 'purpose'> = {
  marketing: { en: 'direct marketing', de: 'Direktwerbung' },
  purpose: { en: 'purpose', de: 'Zweck' },
};

const roles: Vocabulary<Role> = {
  service: { en: 'service', de: 'Dienst' },
  officer: { en: 'officer', de: 'Sachbearbeitung' },
  dpo: { en: 'data protection officer', de: 'Datenschutzbeauftragte' },
  auditor: { en: 'auditor', de: 'Prüfung' },
  admin: { en: 'administrator', de: 'Administration' },
};

const views: Vocabulary<PersonalDataViewed['data']['viewed']> = {
  subject: { en: 'person', de: 'Person' },
  audience: { en: 'audience', de: 'Empfängerkreis' },
  timeline: { en: 'timeline', de: 'Verlauf' },
  evidence: { en: 'evidence bundle', de: 'Nachweispaket' },
};

/** By the name of the field that holds the code. */
const VOCABULARIES: Readonly<Record<string, Readonly<Record<string, Words>>>> = {
  basis: legalBases,
  status: statuses,
  channel: channels,
  kind: kinds,
  ground: grounds,
  reason: reasons,
  scope: scopes,
  role: roles,
  viewed: views,
};

/** A code in words; undefined for one that has none, which is then shown as it is. */
export function wordFor(field: string, code: string, language: Language): string | undefined {
  const vocabulary = VOCABULARIES[field];
  return vocabulary && Object.hasOwn(vocabulary, code) ? vocabulary[code]?.[language] : undefined;
}
