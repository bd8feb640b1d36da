import { hash } from 'node:crypto';
import type { Position } from '#core/kernel/position.js';
import { Agreement } from '#core/ledger/postgres/agreement.js';
import {
  flawOfColumns,
  instantOfColumn,
  type ReadWithColumns,
} from '#core/ledger/postgres/columns.js';
import type { CopiedRow } from '#core/ledger/postgres/copied-rows.js';
import type { Shape, Shapes } from '#core/ledger/shapes.js';
import { consecutiveOrigins } from './leaf-origins.js';
import { type Hash, HASH_BYTES } from './merkle.js';
import { sha256 } from './node-crypto.js';
import { RunPacker } from './stream-runs.js';
import { TILE_WIDTH } from './tiles.js';
import type { VouchedPage } from './vouched-page.js';

/** Between the beginning of the stamp in an event's bytes and its time, see `Content`. */
const STAMP_BEGINS = '"recordedAt":"'.length;
/** What makes the bytes of an event a leaf (RFC 6962, section 2.1). */
const LEAF = 0;

/**
 * Looks at pages of a log for `verify`. Hashes come as texts of bytes: that takes half the time of buffers, and
 * hashing is most of the work.
 */
export class Voucher {
  private readonly agreement = new Agreement();

  constructor(
    private readonly log: ReadWithColumns,
    private readonly shapes: Shapes,
  ) {}

  /** So many events after a position, all of which are there; undefined where that or anything of them does not hold. */
  async page(after: Position, count: number): Promise<VouchedPage | undefined> {
    const own = this.log.own(after);
    const page = new Page(after, this.log.shown(own + 1), count);
    let [expected, holds, recordedAt] = [Math.max(own, 1), true, 0];
    // The one before the page tells the time of the log there.
    await this.log.eachRow(own, own > 0 ? count + 1 : count, (row) => {
      holds &&=
        row.position === expected++ &&
        row.recordedAt >= recordedAt &&
        (row.position === own ? this.tells(row) : this.takes(row, page));
      ({ recordedAt } = row);
    });
    const last = { position: this.log.shown(own + count), recordedAt: instantOfColumn(recordedAt) };
    return holds && page.count === count ? page.packed(last) : undefined;
  }

  /** Whether the event before the page has the time of its column. */
  private tells(row: CopiedRow): boolean {
    const shape = this.fitting(row);
    return shape === undefined ? this.holds(row) : this.agreement.holds(row, shape);
  }

  private takes(row: CopiedRow, page: Page): boolean {
    const { copied, bytes } = row;
    // Before the bytes lies their length, which was read: the leaf is hashed where it lies.
    copied[bytes.start - 1] = LEAF;
    page.add(row, hash('sha256', copied.subarray(bytes.start - 1, bytes.end), 'binary'));
    const shape = this.fitting(row);
    if (shape === undefined) return this.holds(row);
    return this.agreement.holds(row, shape) && isDigest(row, shape);
  }

  private fitting({ copied, view, type, bytes }: CopiedRow): Shape | undefined {
    const name = copied.toString('latin1', type.start, type.end);
    return this.shapes.fitting(name, view, bytes.start, bytes.end);
  }

  /** The same for an event of no known shape; those like it will be known from now on. */
  private holds(row: CopiedRow): boolean {
    const event = this.log.eventIn(row, undefined);
    return flawOfColumns(event) === undefined && this.shapes.learn(event);
  }
}

/**
 * Whether the digest is that of the bytes without the stamp that the store has put in, see `Content`. The stamp is
 * taken out where they lie: nothing can be read of the row afterwards.
 */
function isDigest({ copied, digest, bytes }: CopiedRow, { gaps, starts, ends }: Shape): boolean {
  const stamp = (starts[gaps.recordedAt] as number) - STAMP_BEGINS;
  const behind = ends[gaps.revision] as number;
  copied.copyWithin(stamp, behind, bytes.end);
  const content = copied.subarray(bytes.start, bytes.end - (behind - stamp));
  return copied.toString('latin1', digest.start, digest.end) === hash('sha256', content, 'binary');
}

/** A page that is being looked at. */
class Page {
  count = 0;
  private readonly leaves: Buffer;
  private readonly tiles: Buffer;
  private readonly runs: RunPacker;

  constructor(
    private readonly after: Position,
    private readonly first: Position,
    events: number,
  ) {
    this.leaves = Buffer.alloc(events * HASH_BYTES);
    this.tiles = Buffer.alloc(Math.floor(events / TILE_WIDTH) * HASH_BYTES);
    this.runs = new RunPacker(first, events);
  }

  /** `leaf`: its hash, a character for each byte. */
  add({ copied, stream, revision }: CopiedRow, leaf: string): void {
    this.leaves.write(leaf, this.count * HASH_BYTES, 'latin1');
    this.runs.add(copied, stream, revision);
    this.count++;
    if (this.count % TILE_WIDTH > 0) return;
    const from = (this.count - TILE_WIDTH) * HASH_BYTES;
    const root = rootOf(this.leaves.subarray(from, from + TILE_WIDTH * HASH_BYTES));
    this.tiles.set(root, (this.count / TILE_WIDTH - 1) * HASH_BYTES);
  }

  packed(last: VouchedPage['last']): VouchedPage {
    const { after, first, leaves, tiles, runs, count } = this;
    const origins = consecutiveOrigins(first, count);
    return { after, leaves, tiles, origins, ...runs.packed(), last };
  }
}

const PAIR = 2 * HASH_BYTES;
const NODE = 1 + PAIR;
/**
 * The nodes of a level of a tile as they are hashed: what makes two hashes a node (RFC 6962, section 2.1), and the
 * hashes. Those of the next level are written over the ones that were hashed already.
 */
const level = Buffer.alloc((TILE_WIDTH / 2) * NODE, 1);
const nodes = Array.from({ length: TILE_WIDTH / 2 }, (_, at) =>
  level.subarray(at * NODE, (at + 1) * NODE),
);

/** The root over the hashes of a full tile, as `subtreeHash` gives it. */
function rootOf(tile: Buffer): Hash {
  for (const [at, node] of nodes.entries()) tile.copy(node, 1, at * PAIR, (at + 1) * PAIR);
  for (let width = TILE_WIDTH / 2; width > 1; width /= 2)
    for (let at = 0; at < width; at++) {
      const above = (at >> 1) * NODE + 1 + (at % 2) * HASH_BYTES;
      level.write(hash('sha256', nodes[at] as Buffer, 'binary'), above, 'latin1');
    }
  return sha256(nodes[0] as Buffer);
}
