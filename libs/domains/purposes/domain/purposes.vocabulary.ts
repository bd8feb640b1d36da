import type { Instant } from '#core/kernel/instant.js';
import { invalid, type Violation } from '#core/kernel/refused.js';
import type { NoticeToPublish } from './catalogue.js';
import type { Notice, PrivacyCentre, Purpose } from './privacy-centre.js';
import type {
  Channel,
  Controller,
  DefaultBasis,
  PurposeDefinition,
  TopicDefinition,
} from './purposes.events.js';

/** What any slice may find out of a catalogue that it was given: rules about what is named, and nothing about what is recorded. */

/** The words of a notice in one language, before they have a place of their own. */
export type NoticeWords = Omit<NoticeToPublish, 'noticeId' | 'hash'>;

/** A whole catalogue, or a part of one, as an operator writes it down. */
export interface CatalogueFile {
  readonly controllers: readonly Controller[];
  readonly sources: readonly string[];
  readonly purposes: readonly PurposeDefinition[];
  readonly notices: readonly NoticeWords[];
  readonly topics: readonly TopicDefinition[];
  /** Absent: the defaults stay as they are. */
  readonly defaults?: { readonly bases: readonly DefaultBasis[] };
}

/** Refuses a source that the privacy centre does not list. */
export function requireSource({ sources }: Pick<PrivacyCentre, 'sources'>, source: string): void {
  if (!sources.includes(source))
    throw invalid({
      pointer: '/source',
      code: 'unknown-source',
      detail: 'there is no such source',
    });
}

/** The purpose of that key; refused with `unknown-purpose` at `pointer` where there is none. */
export function requirePurpose(
  { purposes }: Pick<PrivacyCentre, 'purposes'>,
  key: string,
  pointer: string,
): Purpose {
  const purpose = purposes[key];
  if (purpose) return purpose;
  throw invalid({ pointer, ...NO_PURPOSE });
}

/** What is wrong with a question whoever it is about. */
export function questionViolations(
  centre: PrivacyCentre,
  { purpose, channel, topic }: { purpose: string; channel?: Channel; topic?: string },
): Violation[] {
  if (!centre.purposes[purpose]) return [{ pointer: '/purpose', ...NO_PURPOSE }];
  if (topic === undefined) return [];
  const known = centre.topics[topic];
  if (!known)
    return [{ pointer: '/topic', code: 'unknown-topic', detail: 'there is no such topic' }];
  if (known.purpose !== purpose)
    return [
      {
        pointer: '/topic',
        code: 'topic-of-other-purpose',
        detail: 'the topic belongs to another purpose',
      },
    ];
  if (!channel)
    return [{ pointer: '/channel', code: 'channel-required', detail: 'a topic needs a channel' }];
  return [];
}

const NO_PURPOSE = { code: 'unknown-purpose', detail: 'there is no such purpose' } as const;

/** What naming a notice version proves about the words that a person saw. */
export type NoticeShownResult =
  | { readonly found: false }
  | {
      readonly found: true;
      readonly complete: boolean;
      readonly notice: Pick<Notice, 'noticeId' | 'version' | 'language'> & {
        readonly hash?: string;
      };
    };

/**
 * The consent notice of a purpose by version and language, as shown at `at`. Not found where the version
 * exists in no language; incomplete where it was not published in that language by then. `de-AT` is
 * served by `de` where it has no words of its own (RFC 4647, 3.4).
 */
export function noticeShown(
  centre: PrivacyCentre,
  purpose: string,
  version: number,
  language: string,
  at: Instant,
): NoticeShownResult {
  const versions = centre.notices.filter(
    (notice) =>
      notice.kind === 'consent' && notice.purpose === purpose && notice.version === version,
  );
  const [any] = versions;
  if (!any) return { found: false };
  const ranges = language
    .split('-')
    .map((_, index, parts) => parts.slice(0, parts.length - index).join('-'));
  const shown = ranges
    .map((range) => versions.find((n) => n.language.toLowerCase() === range.toLowerCase()))
    .find((notice) => notice !== undefined);
  if (!shown)
    return { found: true, complete: false, notice: { noticeId: any.noticeId, version, language } };
  const { noticeId, hash } = shown;
  return {
    found: true,
    complete: shown.publishedAt <= at,
    notice: { noticeId, version, language: shown.language, hash },
  };
}
