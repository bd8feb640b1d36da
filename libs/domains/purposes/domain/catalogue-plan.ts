import type { Instant } from '#core/kernel/instant.js';
import type { Violation } from '#core/kernel/refused.js';
import { isRepetition, NOTICE_IMMUTABLE } from './catalogue.js';
import {
  defaultViolations,
  noticeViolations,
  purposeViolations,
  type Surroundings,
  topicViolations,
  within,
} from './catalogue-rules.js';
import { definitionOf, type PrivacyCentre, topicDefinitionOf } from './privacy-centre.js';
import type { NoticeKind, PurposeDefinition, TopicDefinition } from './purposes.events.js';
import type { CatalogueFile, NoticeWords } from './purposes.vocabulary.js';
import { same } from './same.js';

/** All versions and languages of one notice that a file holds. */
export interface NoticeOfFile {
  readonly purpose?: string;
  readonly kind: NoticeKind;
  readonly words: readonly NoticeWords[];
}

/** Everything that stands in the way of applying a file, with pointers into it. Empty: it can be applied. */
export function catalogueViolations(
  file: CatalogueFile,
  centre: PrivacyCentre,
  { now, latest }: { readonly now: Instant; readonly latest: Instant },
): Violation[] {
  const around = afterwards(file, centre);
  return [
    ...twice('/controllers', file.controllers, ({ key }) => key),
    ...each('/purposes', file.purposes, (definition) => [
      // Which of the two contradicts the other is told once, where the file has its own defaults there.
      ...purposeViolations(definition, file.defaults ? { ...around, defaultBases: [] } : around),
      ...purposeChange(definition, centre),
    ]),
    ...twice('/purposes', file.purposes, ({ key }) => key),
    ...each('/notices', file.notices, (notice) => [
      ...noticeViolations(notice, around, latest),
      ...noticeChange(notice, centre),
    ]),
    ...twice(
      '/notices',
      file.notices,
      ({ purpose, kind, version, language }) => `${purpose ?? '-'} ${kind} ${version} ${language}`,
      '/version',
    ),
    ...each('/topics', file.topics, (definition) => topicChange(definition, centre, around, now)),
    ...twice('/topics', file.topics, ({ key }) => key),
    ...within('/defaults/bases', defaultViolations(file.defaults?.bases ?? [], around)),
  ];
}

/** A file's notices, by the notice that they belong to, in the order of the file. */
export function noticesOf(file: CatalogueFile): readonly NoticeOfFile[] {
  const found = new Map<string, NoticeOfFile & { words: NoticeWords[] }>();
  for (const words of file.notices) {
    const { purpose, kind } = words;
    const name = `${purpose ?? '-'} ${kind}`;
    const notice = found.get(name) ?? { purpose, kind, words: [] };
    notice.words.push(words);
    found.set(name, notice);
  }
  return [...found.values()];
}

/** How many entries of a file were new, changed, or as they were. */
export interface Tally {
  readonly defined: number;
  readonly revised: number;
  readonly unchanged: number;
}

export const NO_ENTRIES: Tally = { defined: 0, revised: 0, unchanged: 0 };

export function addTallies(a: Tally, b: Tally): Tally {
  return {
    defined: a.defined + b.defined,
    revised: a.revised + b.revised,
    unchanged: a.unchanged + b.unchanged,
  };
}

/** Entries that are kept together in one event, so that only what was there before tells them apart. */
export function tallyByKey<Entry>(
  entries: readonly Entry[],
  before: readonly Entry[],
  keyOf: (entry: Entry) => string,
): Tally {
  return entries.reduce((tally, entry) => {
    const known = before.find((one) => keyOf(one) === keyOf(entry));
    const effect = known === undefined ? 'defined' : same(known, entry) ? 'unchanged' : 'revised';
    return { ...tally, [effect]: tally[effect] + 1 };
  }, NO_ENTRIES);
}

/** What definitions may refer to once the file was applied. */
function afterwards(file: CatalogueFile, centre: PrivacyCentre): Surroundings {
  const purposes: Record<string, Surroundings['purposes'][string]> = Object.assign(
    Object.create(null) as object,
    centre.purposes,
  );
  for (const { key, allowedBases } of file.purposes)
    purposes[key] = { allowedBases, retiredAt: centre.purposes[key]?.retiredAt };
  return {
    purposes,
    controllers: [...centre.controllers, ...file.controllers],
    defaultBases: file.defaults?.bases ?? centre.defaultBases,
  };
}

function purposeChange(definition: PurposeDefinition, { purposes }: PrivacyCentre): Violation[] {
  const known = purposes[definition.key];
  if (known?.retiredAt === undefined || same(definition, definitionOf(known))) return [];
  return [{ pointer: '/key', code: 'purpose-retired', detail: 'the purpose is retired' }];
}

function noticeChange(words: NoticeWords, { notices }: PrivacyCentre): Violation[] {
  const known = notices.find(
    ({ purpose, kind, version, language }) =>
      purpose === words.purpose &&
      kind === words.kind &&
      version === words.version &&
      language === words.language,
  );
  if (!known || isRepetition(known, words)) return [];
  const pointer = known.text === words.text ? '/publishedAt' : '/text';
  return [{ pointer, code: 'notice-immutable', detail: NOTICE_IMMUTABLE }];
}

function topicChange(
  definition: TopicDefinition,
  { topics }: PrivacyCentre,
  around: Surroundings,
  now: Instant,
): Violation[] {
  const known = topics[definition.key];
  if (known && same(definition, topicDefinitionOf(known))) return [];
  const found = topicViolations(definition, around, now);
  if (known?.retiredAt !== undefined)
    found.push({ pointer: '/key', code: 'topic-retired', detail: 'the topic is retired' });
  if (known && known.purpose !== definition.purpose)
    found.push({
      pointer: '/purpose',
      code: 'topic-moved',
      detail: 'a topic stays with its purpose',
    });
  return found;
}

function each<Entry>(
  pointer: string,
  entries: readonly Entry[],
  judge: (entry: Entry) => Violation[],
): Violation[] {
  return entries.flatMap((entry, n) => within(`${pointer}/${n}`, judge(entry)));
}

/** Entries that say a second time what an earlier one said. */
function twice<Entry>(
  pointer: string,
  entries: readonly Entry[],
  nameOf: (entry: Entry) => string,
  field = '/key',
): Violation[] {
  const seen = new Set<string>();
  return entries.flatMap((entry, n) => {
    const name = nameOf(entry);
    if (seen.has(name))
      return [
        { pointer: `${pointer}/${n}${field}`, code: 'duplicate', detail: 'is in the file twice' },
      ];
    seen.add(name);
    return [];
  });
}
