import { parseCount } from './encoding.js';
import {
  type Hash,
  HASH_BYTES,
  hashOver,
  type Node,
  nodeHash,
  nodesOf,
  type ReadNodes,
  type Sha256,
} from './merkle.js';

/**
 * The tree as tiles, c2sp.org/tlog-tiles: at tile level l the n-th tile holds the hashes of complete
 * subtrees of 256^l leaves, from number n * 256 on; 256 of them where the tile is full.
 */

export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;
/** Of 8 levels each in a tree of up to 2^53 leaves. */
const LAST_LEVEL = 63;
const LARGEST_ENTRY = 65_535;

export interface Tile {
  /** `entries`: the leaves themselves, as a bundle. */
  readonly level: number | 'entries';
  readonly index: number;
  /** 1 to 256. */
  readonly width: number;
}

/** `0/x001/x234/067.p/8`, the path below `tile/`. */
export function tilePath({ level, index, width }: Tile): string {
  const groups = [String(index % 1_000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000))
    groups.unshift(`x${String(rest % 1_000).padStart(3, '0')}`);
  return `${level}/${groups.join('/')}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** Undefined where the path is not the one of a tile. */
export function parseTilePath(path: string): Tile | undefined {
  const pattern = /^([0-9]{1,2}|entries)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/;
  const [, first, groups, partial] = pattern.exec(path) ?? [];
  if (first === undefined || groups === undefined) return undefined;
  const level = first === 'entries' ? ('entries' as const) : parseCount(first);
  const index = Number(groups.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? TILE_WIDTH : parseCount(partial);
  if (level === undefined || width === undefined || !Number.isSafeInteger(index)) return undefined;
  if (level !== 'entries' && level > LAST_LEVEL) return undefined;
  const tile = { level, index, width };
  const spelled = tilePath(tile) === path;
  return spelled && width >= 1 && (partial === undefined || width < TILE_WIDTH) ? tile : undefined;
}

/** How many hashes the tile has in a tree of that size; 0 where it is not in it. */
export function widthAt(size: number, level: number, index: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
}

/** Which hashes of which tile a node is made of. */
export interface PlaceInTile {
  readonly level: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
}

export function placeOf({ level, index }: Node): PlaceInTile {
  const tileLevel = Math.floor(level / TILE_HEIGHT);
  const count = 2 ** (level % TILE_HEIGHT);
  const first = index * count;
  return {
    level: tileLevel,
    index: Math.floor(first / TILE_WIDTH),
    start: first % TILE_WIDTH,
    count,
  };
}

/** The root of the complete subtree over hashes whose number is a power of two. */
export function subtreeHash(sha256: Sha256, hashes: readonly Hash[]): Hash {
  let level = hashes;
  while (level.length > 1) {
    const above: Hash[] = [];
    for (let at = 0; at < level.length; at += 2)
      above.push(nodeHash(sha256, level[at] as Hash, level[at + 1] as Hash));
    level = above;
  }
  return level[0] as Hash;
}

/** The hash over a tile of whatever width, as if it were a tree. */
export function tileHash(sha256: Sha256, hashes: readonly Hash[]): Hash {
  const nodes = nodesOf({ start: 0, end: hashes.length });
  return hashOver(
    sha256,
    nodes.map(({ level, index }) => {
      const width = 2 ** level;
      return subtreeHash(sha256, hashes.slice(index * width, (index + 1) * width));
    }),
  );
}

/** A tile with its hashes, one behind the other. */
export interface StoredTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: Uint8Array;
}

/** The hashes of tiles, by `level/index`; each as wide at least as a tree of the size in hand has it. */
export type ReadTiles = (
  tiles: readonly { readonly level: number; readonly index: number }[],
) => Promise<ReadonlyMap<string, Uint8Array>>;

export function tileName({ level, index }: { level: number; index: number }): string {
  return `${level}/${index}`;
}

/** A tile that the tree has is not there, or is narrower than the tree has it. */
export class TileMissing extends Error {
  override readonly name = 'TileMissing';
  constructor(
    readonly level: number,
    readonly index: number,
    reason: string,
  ) {
    super(`tile ${level}/${index} ${reason}`);
  }
}

/**
 * Nodes out of tiles, each tile read once and each hash in it made once, however many nodes lie below or above it. The
 * reader throws TileMissing where it can not find a node.
 */
export function nodesFromTiles(sha256: Sha256, read: ReadTiles): ReadNodes {
  return async (nodes) => {
    const places = nodes.map(placeOf);
    const wanted = new Map(places.map((place) => [tileName(place), place]));
    const tiles = await read([...wanted.values()]);
    const interiors = new Map(
      [...tiles].map(([name, bytes]) => [name, new Interior(sha256, bytes)]),
    );
    return places.map(({ level, index, start, count }) => {
      const interior = interiors.get(tileName({ level, index }));
      if (interior === undefined) throw new TileMissing(level, index, 'is not there');
      if (interior.width < start + count)
        throw new TileMissing(level, index, `ends before hash ${start + count}`);
      return interior.at(Math.log2(count), start / count);
    });
  };
}

/** The hashes of a tile and the roots of the complete subtrees over them. */
class Interior {
  readonly width: number;
  private readonly made: Hash[][] = Array.from({ length: TILE_HEIGHT }, () => []);

  constructor(
    private readonly sha256: Sha256,
    private readonly bytes: Uint8Array,
  ) {
    this.width = Math.floor(bytes.length / HASH_BYTES);
  }

  /** The root over the 2^level hashes from index * 2^level on, which have to be there. */
  at(level: number, index: number): Hash {
    if (level === 0) return this.bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    const [made, below] = [this.made[level] as Hash[], level - 1];
    return (made[index] ??= nodeHash(
      this.sha256,
      this.at(below, 2 * index),
      this.at(below, 2 * index + 1),
    ));
  }
}

/** Entries behind one another, each after its length as two bytes, big endian. */
export function entryBundle(entries: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(entries.reduce((length, entry) => length + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > LARGEST_ENTRY) throw new RangeError(`an entry has ${entry.length} bytes`);
    bundle[at] = entry.length >> 8;
    bundle[at + 1] = entry.length & 0xff;
    bundle.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bundle;
}
