import type { Instant } from '#core/kernel/instant.js';
import type { Notice, PrivacyCentre } from './privacy-centre.js';

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
