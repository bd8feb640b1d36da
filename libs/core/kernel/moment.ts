import { type Instant, parseInstant } from './instant.js';
import { parsePosition, type Position } from './position.js';

/** As the ledger knew it: at a moment, or at a place in the log. */
export type KnownAt = { readonly instant: Instant } | { readonly position: Position };

/** Reads `position:N` or an RFC 3339 date-time; undefined where the text is neither. */
export function parseKnownAt(text: string): KnownAt | undefined {
  if (text.startsWith('position:')) {
    const position = parsePosition(text.slice('position:'.length));
    return position && { position };
  }
  const instant = parseInstant(text);
  return instant && { instant };
}

/**
 * What an answer says it was known at, in the words of the question: sent back as `knownAt` it gives the
 * same answer again, also where the question left it open.
 */
export function knownAtOf(asked: KnownAt | undefined, position: Position): string {
  return asked && 'instant' in asked ? asked.instant : `position:${asked?.position ?? position}`;
}
