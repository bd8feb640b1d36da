import { invalid } from '#core/kernel/refused.js';
import type { PrivacyCentre } from './privacy-centre.js';

/** Refuses a source that the privacy centre does not list. */
export function requireSource({ sources }: Pick<PrivacyCentre, 'sources'>, source: string): void {
  if (!sources.includes(source))
    throw invalid({
      pointer: '/source',
      code: 'unknown-source',
      detail: 'there is no such source',
    });
}
