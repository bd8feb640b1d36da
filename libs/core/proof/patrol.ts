import { START } from '#core/kernel/position.js';
import type { EventStore } from '#core/ledger/port.js';
import { equalBytes, hex } from './encoding.js';
import { type Hash, leafHash, splitHashes } from './merkle.js';
import { sha256 } from './node-crypto.js';
import type { ProofTables } from './postgres/proof-tables.js';
import { SealingRefused } from './refused.js';
import { TILE_WIDTH, tileHash, TileMissing, tileName, widthAt } from './tiles.js';

/** Bundles of 256 events that are looked at in one go: some ten thousand events a minute. */
const BUNDLES = 2;

/**
 * Goes round what was sealed long ago, a little at a time, for ever: reads stored bytes again and compares
 * them with their leaves, and tiles with those above them. What a superuser changed so comes to light
 * without anybody asking; `verify` does all of it at once.
 */
export class Patrol {
  private bundle: number | undefined;

  constructor(
    private readonly parts: {
      readonly store: Pick<EventStore, 'readAll'>;
      readonly tables: ProofTables;
    },
  ) {}

  /** @throws SealingRefused where something is not as it was sealed */
  async go(size: number): Promise<void> {
    const bundles = Math.floor(size / TILE_WIDTH);
    for (let done = 0; done < Math.min(BUNDLES, bundles); done++) {
      // Somewhere, so that a process that is often started does not see the beginning alone.
      const bundle = (this.bundle ?? Math.floor(Math.random() * bundles)) % bundles;
      await this.look(size, bundle);
      this.bundle = bundle + 1;
    }
  }

  private async look(size: number, bundle: number): Promise<void> {
    const { store, tables } = this.parts;
    const leaves = await this.tileOf(size, 0, bundle);
    await this.lookAbove(size, bundle, leaves);
    const after = bundle === 0 ? START : (await tables.origins(bundle - 1)).at(-1);
    const origins = await tables.origins(bundle);
    const { events } = await store.readAll(after ?? START, { limit: TILE_WIDTH });
    for (const [within, leaf] of leaves.entries()) {
      const [event, position] = [events[within], origins[within]];
      if (event === undefined || event.position !== position)
        throw new SealingRefused(
          'event-changed',
          `leaf ${bundle * TILE_WIDTH + within} came from position ${position}, the log goes on with ${event?.position ?? 'nothing'}`,
        );
      const now = leafHash(sha256, event.bytes);
      if (!equalBytes(now, leaf))
        throw new SealingRefused(
          'event-changed',
          `position ${position} was sealed with leaf hash ${hex(leaf)}, and has ${hex(now)}`,
        );
    }
  }

  /** Every tile above says of the one below what it is. */
  private async lookAbove(size: number, bundle: number, leaves: readonly Hash[]): Promise<void> {
    let [index, tile] = [bundle, leaves];
    for (let level = 1; tile.length === TILE_WIDTH; level++) {
      const above = await this.tileOf(size, level, Math.floor(index / TILE_WIDTH));
      const [said, is] = [above[index % TILE_WIDTH] as Hash, tileHash(sha256, tile)];
      if (!equalBytes(said, is))
        throw new SealingRefused(
          'tiles-damaged',
          `tile ${level - 1}/${index} has the hash ${hex(is)}, the one above says ${hex(said)}`,
        );
      [index, tile] = [Math.floor(index / TILE_WIDTH), above];
    }
  }

  private async tileOf(size: number, level: number, index: number): Promise<readonly Hash[]> {
    const stored = await this.parts.tables.readTiles([{ level, index }]);
    const hashes = splitHashes(stored.get(tileName({ level, index })) ?? new Uint8Array(0));
    const width = widthAt(size, level, index);
    if (hashes.length >= width) return hashes.slice(0, width);
    throw new TileMissing(level, index, `has ${hashes.length} of ${width} hashes`);
  }
}
