import { joined } from './encoding.js';
import { type Hash, type Sha256, splitHashes } from './merkle.js';
import { type StoredTile, TILE_WIDTH, tileHash, TileMissing, tileName, widthAt } from './tiles.js';

/** The tiles at the right edge of a tree of that size that are not full: what new leaves are added to. */
export function edgeOf(size: number): { level: number; index: number }[] {
  const edge: { level: number; index: number }[] = [];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH))
    if (count % TILE_WIDTH > 0) edge.push({ level, index: Math.floor(count / TILE_WIDTH) });
  return edge;
}

/**
 * The tiles that change, as they are once the leaves were added to a tree of that size. `edge`: the
 * hashes of `edgeOf(size)`. Throws TileMissing where one of them is not as wide as the tree has it.
 */
export function grown(
  sha256: Sha256,
  size: number,
  edge: ReadonlyMap<string, Uint8Array>,
  leaves: readonly Hash[],
): StoredTile[] {
  const changed: StoredTile[] = [];
  const open: { index: number; hashes: Hash[] }[] = [];
  const openAt = (level: number) => {
    const count = Math.floor(size / TILE_WIDTH ** level);
    const index = Math.floor(count / TILE_WIDTH);
    open[level] ??= { index, hashes: edgeHashes(edge, { level, index }, size) };
    return open[level];
  };
  const add = (level: number, hash: Hash): void => {
    const tile = openAt(level);
    tile.hashes.push(hash);
    if (tile.hashes.length < TILE_WIDTH) return;
    changed.push({ level, index: tile.index, hashes: joined(tile.hashes) });
    const above = tileHash(sha256, tile.hashes);
    open[level] = { index: tile.index + 1, hashes: [] };
    add(level + 1, above);
  };
  for (const leaf of leaves) add(0, leaf);
  open.forEach(({ index, hashes }, level) => {
    if (hashes.length > 0) changed.push({ level, index, hashes: joined(hashes) });
  });
  return changed;
}

function edgeHashes(
  edge: ReadonlyMap<string, Uint8Array>,
  tile: { level: number; index: number },
  size: number,
): Hash[] {
  const width = widthAt(size, tile.level, tile.index);
  if (width === 0) return [];
  const bytes = edge.get(tileName(tile));
  const hashes = bytes && splitHashes(bytes);
  if (hashes?.length !== width)
    throw new TileMissing(tile.level, tile.index, `has ${hashes?.length ?? 0} of ${width} hashes`);
  return hashes;
}
