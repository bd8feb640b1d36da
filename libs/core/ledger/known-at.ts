import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';

/**
 * What the ledger knew at a moment is a prefix of the log: the moment becomes the position it ends at. So
 * does a position from before the log was moved to another store.
 */
export async function resolveKnownAt(
  ledger: {
    positionAt(instant: Instant): Promise<Position>;
    locate(position: Position): Promise<Position>;
  },
  knownAt: KnownAt | undefined,
): Promise<Position | undefined> {
  if (!knownAt) return undefined;
  return 'position' in knownAt
    ? ledger.locate(knownAt.position)
    : ledger.positionAt(knownAt.instant);
}
