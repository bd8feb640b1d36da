import { createHash } from 'node:crypto';
import { idFrom, type NoticeId, type StreamName, streamOf } from '#core/kernel/ids.js';
import { type Instant, instantOf, millisecondsOf } from '#core/kernel/instant.js';
import type { Digest } from '#core/platform/http/idempotency.js';
import type { NoticeKind, PurposeId, TopicId } from '../domain/purposes.events.js';

/** What the envelopes of this slice say they came from. */
export const SOURCE = 'privacy-centre';

/**
 * Ids are derived from keys, so that two who define the same purpose at once meet in one stream, and no
 * key has to be reserved anywhere.
 */
export function purposeIdOf(digest: Digest, key: string): PurposeId {
  return idFrom('pur', digest.digest('purpose', key), 8);
}

export function topicIdOf(digest: Digest, key: string): TopicId {
  return idFrom('tpc', digest.digest('topic', key), 8);
}

/** All versions and languages of a purpose's notice of a kind, or of the organisation's, are one notice. */
export function noticeIdOf(
  digest: Digest,
  purpose: string | undefined,
  kind: NoticeKind,
): NoticeId {
  return idFrom('ntc', digest.digest('notice', purpose ?? '-', kind), 8);
}

/** One stream for each kind of settings, so that a change of one leaves the revision of the others alone. */
export const SETTINGS = {
  controllers: streamOf('settings', 'controllers'),
  sources: streamOf('settings', 'sources'),
  defaults: streamOf('settings', 'defaults'),
} as const satisfies Readonly<Record<string, StreamName>>;

/** A notice's address: SHA-256 over its words in UTF-8, hex. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Until when something may be said to have happened, clocks that are not ours included. */
export function latestFor(now: Instant): Instant {
  return instantOf(millisecondsOf(now) + 60_000);
}
