import type { Position } from '#core/kernel/position.js';
import { START } from '#core/kernel/position.js';
import type { EventStore } from '#core/ledger/port.js';
import {
  consistencyRanges,
  flawOfConsistency,
  flawOfInclusion,
  type Hash,
  HASH_BYTES,
  hashesOver,
  inclusionRanges,
  leafHash,
  type Range,
  type ReadNodes,
} from './merkle.js';
import { sha256 } from './node-crypto.js';
import type { ProofTables } from './postgres/proof-tables.js';
import type { KeyPeriod, PublishedCheckpoint } from './published.js';
import { entryBundle, nodesFromTiles, type Tile, TILE_WIDTH, tileName, widthAt } from './tiles.js';

/** Whom to trust: nothing else is needed to verify. */
export interface LogIdentity {
  readonly origin: string;
  /** Verifier keys of c2sp.org/signed-note, oldest first, also those that sign no more. */
  readonly keys: readonly string[];
}

/** A tree that was signed. */
type Signed = Pick<PublishedCheckpoint, 'size' | 'root'>;

/** What the tables hold does not lead to what was signed: no proof is given out of them. */
export class ProofBroken extends Error {
  override readonly name = 'ProofBroken';
}

/**
 * What was proven of the log so far, for whoever asks. A proof is verified before it is given: where the
 * tables were changed, nobody gets one that does not hold.
 */
export class ProvenLog {
  private readonly readNodes: ReadNodes;

  constructor(
    private readonly tables: ProofTables,
    private readonly store: Pick<EventStore, 'readAll' | 'at' | 'locate'>,
    readonly origin: string,
  ) {
    this.readNodes = nodesFromTiles(sha256, tables.readTiles);
  }

  /** Without keys until the sealer made the first. */
  async identity(): Promise<LogIdentity> {
    const keys = await this.keys();
    return { origin: this.origin, keys: keys.map(({ verifierKey }) => verifierKey) };
  }

  /** Every key that signed or signs checkpoints of this log, oldest first. */
  keys(): Promise<readonly KeyPeriod[]> {
    return this.tables.keys(this.origin);
  }

  /** Undefined before the first checkpoint. */
  newest(): Promise<PublishedCheckpoint | undefined> {
    return this.located(this.tables.newest(this.origin));
  }

  /** The first checkpoint that covers what was recorded at that position; undefined where none does yet. */
  covering(position: Position): Promise<PublishedCheckpoint | undefined> {
    return this.located(this.tables.covering(this.origin, position));
  }

  /** The checkpoint of exactly that size; undefined where none was published. */
  ofSize(size: number): Promise<PublishedCheckpoint | undefined> {
    return this.located(this.tables.ofSize(this.origin, size));
  }

  /**
   * The leaf that came from each position; a position that no leaf came from (yet) has no entry. Leaves know
   * where the log has their events now: a position from before a move is looked up in the log.
   */
  async indexesOf(positions: readonly Position[]): Promise<ReadonlyMap<Position, number>> {
    const found = new Map(await this.tables.indexesOf(positions));
    if (this.store.locate === undefined) return found;
    for (const position of positions.filter((one) => !found.has(one))) {
      const now = (await this.store.at(position))?.position;
      const index = now && (await this.tables.indexesOf([now])).get(now);
      if (index !== undefined) found.set(position, index);
    }
    return found;
  }

  /** What a leaf is and where it came from; undefined where there is no such leaf (yet). Throws ProofBroken. */
  async leaf(index: number): Promise<{ position: Position; bytes: Uint8Array } | undefined> {
    const position = await this.tables.originOf(index);
    if (position === undefined) return undefined;
    const event = await this.store.at(position);
    if (event === undefined) throw new ProofBroken(`leaf ${index} is not at ${position} any more`);
    return { position, bytes: event.bytes };
  }

  /** The root of the tree of any size up to that of the newest checkpoint, as the tiles have it. */
  async rootOf(size: number): Promise<Hash> {
    const [root] = await hashesOver(sha256, [{ start: 0, end: size }], this.readNodes);
    return root as Hash;
  }

  /**
   * The proof that these bytes are a leaf of the tree of that checkpoint.
   * @throws RangeError where the tree has no such leaf, ProofBroken where the proof would not hold
   */
  async inclusion(index: number, bytes: Uint8Array, checkpoint: Signed): Promise<readonly Hash[]> {
    const [proof] = await this.inclusions([{ index, bytes }], checkpoint);
    return proof as readonly Hash[];
  }

  /** The same of many leaves, in their order: what their ways have in common is read and hashed once. */
  async inclusions(
    leaves: readonly { readonly index: number; readonly bytes: Uint8Array }[],
    { size, root }: Signed,
  ): Promise<readonly (readonly Hash[])[]> {
    const ranges = leaves.map(({ index }) => inclusionRanges(index, size));
    const hashes = await hashesOver(sha256, ranges.flat(), this.readNodes);
    let at = 0;
    return leaves.map(({ index, bytes }, n) => {
      const proof = hashes.slice(at, (at += (ranges[n] as readonly Range[]).length));
      const inclusion = { index, size, leafHash: leafHash(sha256, bytes), proof, root };
      const flaw = flawOfInclusion(sha256, inclusion);
      if (flaw !== undefined) throw new ProofBroken(`leaf ${index} at size ${size}: ${flaw}`);
      return proof;
    });
  }

  /**
   * The proof that the tree of one checkpoint extends that of another.
   * @throws RangeError where there is no such proof, ProofBroken where it would not hold
   */
  async consistency(from: Signed, to: Signed): Promise<readonly Hash[]> {
    const ranges = consistencyRanges(from.size, to.size);
    const proof = await hashesOver(sha256, ranges, this.readNodes);
    const sizes = { from: from.size, to: to.size, fromRoot: from.root, toRoot: to.root };
    const flaw = flawOfConsistency(sha256, { ...sizes, proof });
    if (flaw !== undefined) throw new ProofBroken(`${from.size} to ${to.size}: ${flaw}`);
    return proof;
  }

  /** The bytes of a tile or a bundle (c2sp.org/tlog-tiles); undefined where the newest tree has no such. */
  async tile(tile: Tile): Promise<Uint8Array | undefined> {
    const level = tile.level === 'entries' ? 0 : tile.level;
    const sealed = await this.newest();
    if (sealed === undefined || widthAt(sealed.size, level, tile.index) < tile.width)
      return undefined;
    if (tile.level === 'entries') return this.bundle(tile);
    const tiles = await this.tables.readTiles([{ level, index: tile.index }]);
    const bytes = tiles.get(tileName({ level, index: tile.index }));
    if (bytes === undefined || bytes.length < tile.width * HASH_BYTES)
      throw new ProofBroken(`tile ${level}/${tile.index} is cut`);
    return bytes.subarray(0, tile.width * HASH_BYTES);
  }

  /** A checkpoint names the position of its last leaf as it was when it was signed. */
  private async located(
    reading: Promise<PublishedCheckpoint | undefined>,
  ): Promise<PublishedCheckpoint | undefined> {
    const found = await reading;
    const now = found && (await this.store.locate?.(found.position));
    return found && now ? { ...found, position: now } : found;
  }

  private async bundle({ index, width }: Tile): Promise<Uint8Array> {
    const before = index === 0 ? START : await this.tables.originOf(index * TILE_WIDTH - 1);
    if (before === undefined) throw new ProofBroken(`bundle ${index - 1} is not there`);
    const { events } = await this.store.readAll(before, { limit: width });
    if (events.length < width) throw new ProofBroken(`the log ends in bundle ${index}`);
    return entryBundle(events.map(({ bytes }) => bytes));
  }
}
