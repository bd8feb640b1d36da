import type { KeyStatus, PersonToldOf, Scope, Words } from '../queries/evidence.js';

/** What a timeline says beside its events, in both languages. */

export type Language = keyof Words;

/** What all parts of a bundle have in common. */
export interface Heading {
  readonly origin: string;
  readonly size: number;
  readonly signedAt: string;
  readonly createdAt: string;
  readonly scope: Scope;
  readonly opened: boolean;
}

export const WORDS = {
  title: { en: 'What is on record', de: 'Was aufgezeichnet ist' },
  person: { en: 'Person', de: 'Person' },
  continued: { en: '(continued)', de: '(Fortsetzung)' },
  log: { en: 'Log', de: 'Log' },
  sealed: { en: 'Sealed', de: 'Besiegelt' },
  made: { en: 'Made', de: 'Erstellt' },
  scope: { en: 'Scope', de: 'Umfang' },
  personal: { en: 'Personal fields', de: 'Personendaten' },
  happened: { en: 'Happened', de: 'Geschehen' },
  recorded: { en: 'Recorded', de: 'Aufgezeichnet' },
  what: { en: 'What', de: 'Was' },
  proof: { en: 'Leaf', de: 'Blatt' },
  source: { en: 'source', de: 'Quelle' },
  notice: { en: 'Words shown', de: 'Gezeigter Wortlaut' },
  version: { en: 'version', de: 'Fassung' },
  erased: { en: 'erased', de: 'gelöscht' },
  none: { en: 'Nothing is on record.', de: 'Es ist nichts aufgezeichnet.' },
  page: { en: 'Page', de: 'Seite' },
  explanation: {
    en:
      'This page is made for reading. What proves it are the events beside it, byte for byte as they are stored: ' +
      'open verify.html, or run ledgerctl verify-bundle.',
    de:
      'Diese Seite ist zum Lesen da. Bewiesen wird sie durch die Ereignisse daneben, Byte für Byte wie gespeichert: ' +
      'verify.html öffnen oder ledgerctl verify-bundle ausführen.',
  },
} as const satisfies Readonly<Record<string, Words>>;

/** A moment as it is read; always UTC, and it says so. */
export function momentIn(language: Language, instant: string): string {
  const [, year, month, day, time] =
    /^(\d{4})-(\d{2})-(\d{2})T(\d{2}:\d{2}:\d{2})/.exec(instant) ?? [];
  return language === 'de'
    ? `${day}.${month}.${year} ${time} UTC`
    : `${year}-${month}-${day} ${time} UTC`;
}

/** What stands at the head of a timeline: names and what they say. */
export function headingIn(language: Language, heading: Heading): (readonly [string, string])[] {
  const { origin, size, signedAt, createdAt, scope, opened } = heading;
  const sealed = {
    en: `the first ${size} events, checkpoint of ${momentIn('en', signedAt)}`,
    de: `die ersten ${size} Ereignisse, Prüfpunkt vom ${momentIn('de', signedAt)}`,
  };
  const personal = opened
    ? { en: 'in the clear', de: 'lesbar' }
    : { en: 'sealed, not shown', de: 'versiegelt, nicht gezeigt' };
  return [
    [WORDS.log[language], origin],
    [WORDS.sealed[language], sealed[language]],
    [WORDS.made[language], momentIn(language, createdAt)],
    [WORDS.scope[language], scopeIn(language, scope)],
    [WORDS.personal[language], personal[language]],
  ];
}

function scopeIn(language: Language, { subjects, purpose, period }: Scope): string {
  const who = subjects
    ? { en: `${subjects.length} named`, de: `${subjects.length} benannt` }
    : { en: 'everybody concerned', de: 'alle Betroffenen' };
  const from = period?.from;
  const to = period?.to;
  const parts = [
    who[language],
    purpose && { en: `purpose ${purpose}`, de: `Zweck ${purpose}` }[language],
    from && `${{ en: 'from', de: 'ab' }[language]} ${momentIn(language, from)}`,
    to && `${{ en: 'until', de: 'bis' }[language]} ${momentIn(language, to)}`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** What became of a person's keys, in a sentence; undefined while they are held. */
export function keyIn(language: Language, key: KeyStatus): string | undefined {
  if (key.status === 'held') return undefined;
  const { destroyedAt, unreadableInEveryCopySince: everywhere, epoch } = key;
  const at = momentIn(language, destroyedAt);
  if (language === 'de')
    return (
      `Gelöscht: Schlüssel vernichtet am ${at}. ` +
      (everywhere
        ? `Auch in keiner Kopie mehr lesbar seit ${momentIn('de', everywhere)}.`
        : `Kopien der Schlüssel sind unbrauchbar, sobald die Schlüsselepoche ${epoch} endet.`)
    );
  return (
    `Erased: keys destroyed on ${at}. ` +
    (everywhere
      ? `Unreadable in every copy since ${momentIn('en', everywhere)}.`
      : `Copies of the keys are useless as soon as key epoch ${epoch} ends.`)
  );
}

type Item = PersonToldOf['items'][number];

/** What stands below an event's sentence. */
export function detailsOf(language: Language, item: Item): string[] {
  const { source, notice, opened } = item;
  const words =
    notice &&
    `${WORDS.notice[language]}: ${WORDS.version[language]} ${notice.version} (${notice.language}), ` +
      `SHA-256 ${notice.hash ?? '–'}`;
  const fields = Object.entries(opened ?? {}).map(
    ([field, value]) => `${field}: ${valueIn(language, value)}`,
  );
  return [`${WORDS.source[language]}: ${source}`, ...(words ? [words] : []), ...fields];
}

function valueIn(language: Language, value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'erased' in value)
    return `[${WORDS.erased[language]}]`;
  return JSON.stringify(value);
}
