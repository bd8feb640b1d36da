import { streamOf } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import type { Notice, PrivacyCentre, Purpose, Topic } from '../queries/privacy-centre.message.js';

/** What the calls on the catalogue answer. */

/** Where a thing stands: its stream's revision, and the last change of the catalogue that is in the answer. */
interface Standing {
  readonly revision: number;
  readonly position: Position;
}

export type PurposeView = Omit<Purpose, 'revision'> &
  Standing & {
    /** The revision that a consent given now refers to. */
    readonly definitionRevision: number;
  };

export function purposeView(
  { revision: definitionRevision, ...purpose }: Purpose,
  { revisions, position }: PrivacyCentre,
): PurposeView {
  const revision = revisions[streamOf('purpose', purpose.purposeId)] ?? definitionRevision;
  return { ...purpose, definitionRevision, revision, position };
}

export type TopicView = Topic & Standing;

export function topicView(topic: Topic, { revisions, position }: PrivacyCentre): TopicView {
  const revision = revisions[streamOf('topic', topic.topicId)] ?? topic.revision;
  return { ...topic, revision, position };
}

/** One version of a notice in one language. */
export type PublishedWords = Omit<Notice, 'noticeId' | 'purpose' | 'kind'>;

export interface NoticeView extends Pick<Notice, 'noticeId' | 'purpose' | 'kind'>, Standing {
  readonly versions: readonly PublishedWords[];
}

/** All versions of a notice, by version and language; undefined where there is none. */
export function noticeView(
  noticeId: string,
  { notices, revisions, position }: PrivacyCentre,
): NoticeView | undefined {
  const all = notices.filter((notice) => notice.noticeId === noticeId);
  const [first] = all;
  if (!first) return undefined;
  const { purpose, kind } = first;
  return {
    noticeId: first.noticeId,
    purpose,
    kind,
    versions: all.map(wordsOf).sort(byVersion),
    revision: revisions[streamOf('notice', noticeId)] ?? 0,
    position,
  };
}

/** The words that have an address, and every notice that was published in them. */
export interface WordsView {
  readonly hash: string;
  readonly text: string;
  readonly published: readonly Omit<Notice, 'hash' | 'text'>[];
}

export function wordsView(hash: string, { notices }: PrivacyCentre): WordsView | undefined {
  const all = notices.filter((notice) => notice.hash === hash);
  const [first] = all;
  if (!first) return undefined;
  return { hash, text: first.text, published: all.map(({ hash: _, text: _t, ...rest }) => rest) };
}

function wordsOf({ version, language, text, hash, publishedAt }: Notice): PublishedWords {
  return { version, language, text, hash, publishedAt };
}

function byVersion(a: PublishedWords, b: PublishedWords): number {
  return a.version - b.version || (a.language < b.language ? -1 : 1);
}
