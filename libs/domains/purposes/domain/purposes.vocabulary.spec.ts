import { describe, expect, it } from '@jest/globals';
import type { NoticeId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { noticeShown } from './purposes.vocabulary.js';
import { type Notice, privacyCentre } from './privacy-centre.js';

const noticeId = 'ntc_00000000-0000-8000-8000-000000000001' as NoticeId;
const at = (day: string) => `${day}T00:00:00.000Z` as Instant;

const german: Notice = {
  noticeId,
  purpose: 'newsletter',
  kind: 'consent',
  version: 2,
  language: 'de',
  text: 'Ich willige ein.',
  hash: 'a',
  publishedAt: at('2024-05-01'),
};
const centre = {
  ...privacyCentre.initial,
  notices: [german, { ...german, language: 'pt-BR', text: 'Aceito.', hash: 'b' }],
};
const shown = (version: number, language: string, day = '2025-01-01') =>
  noticeShown(centre, 'newsletter', version, language, at(day));

describe('the notice that was shown', () => {
  it('is complete where it was published in that language by then', () => {
    expect(shown(2, 'de')).toEqual({
      found: true,
      complete: true,
      notice: { noticeId, version: 2, language: 'de', hash: 'a' },
    });
    expect(shown(2, 'de', '2024-05-01')).toMatchObject({ complete: true });
  });
  it('serves a region by its language', () => {
    expect(shown(2, 'de-AT')).toMatchObject({ complete: true, notice: { language: 'de' } });
    expect(shown(2, 'pt-br')).toMatchObject({ complete: true, notice: { language: 'pt-BR' } });
  });
  it('is incomplete where it was published later, or never in that language', () => {
    expect(shown(2, 'de', '2024-04-30')).toMatchObject({ found: true, complete: false });
    expect(shown(2, 'pt')).toEqual({
      found: true,
      complete: false,
      notice: { noticeId, version: 2, language: 'pt' },
    });
  });
  it('is not found where the version exists in no language, or for another kind', () => {
    expect(shown(3, 'de')).toEqual({ found: false });
    const policy = { ...centre, notices: [{ ...german, kind: 'privacy-policy' as const }] };
    expect(noticeShown(policy, 'newsletter', 2, 'de', at('2025-01-01'))).toEqual({ found: false });
  });
});
