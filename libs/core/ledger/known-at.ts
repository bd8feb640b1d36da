import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';

/** What the ledger knew at a moment is a prefix of the log: the moment becomes the position it ends at. */
export async function resolveKnownAt(
  ledger: { positionAt(instant: Instant): Promise<Position> },
  knownAt: KnownAt | undefined,
): Promise<Position | undefined> {
  if (!knownAt) return undefined;
  return 'position' in knownAt ? knownAt.position : ledger.positionAt(knownAt.instant);
}
