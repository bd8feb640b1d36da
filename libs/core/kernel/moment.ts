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
