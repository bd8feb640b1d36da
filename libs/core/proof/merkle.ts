import { equalBytes, hex } from './encoding.js';

/**
 * The Merkle tree of RFC 6962, section 2.1, and RFC 9162, section 2.1. Pure: the hash function comes as a
 * parameter, so that a browser runs the same code. Sizes and indexes are integers up to 2^53, which is why
 * halves are taken by division: the bit operators of JavaScript end at 32 bits.
 */

/** SHA-256 of the bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** 32 bytes. */
export type Hash = Uint8Array;

export const HASH_BYTES = 32;

/** The hash of a leaf: SHA-256(0x00 || data). */
export function leafHash(sha256: Sha256, data: Uint8Array): Hash {
  const prefixed = new Uint8Array(data.length + 1);
  prefixed.set(data, 1);
  return sha256(prefixed);
}

/** The hash of an inner node: SHA-256(0x01 || left || right). */
export function nodeHash(sha256: Sha256, left: Hash, right: Hash): Hash {
  const prefixed = new Uint8Array(1 + left.length + right.length);
  prefixed[0] = 1;
  prefixed.set(left, 1);
  prefixed.set(right, 1 + left.length);
  return sha256(prefixed);
}

/** The root of the tree without leaves: SHA-256 of nothing. */
export function emptyRoot(sha256: Sha256): Hash {
  return sha256(new Uint8Array(0));
}

export interface Inclusion {
  /** From 0. */
  readonly index: number;
  readonly size: number;
  readonly leafHash: Hash;
  /** From the leaf's sibling up. */
  readonly proof: readonly Hash[];
  readonly root: Hash;
}

/** RFC 9162, section 2.1.3.2. In words what does not hold; undefined where the proof holds. */
export function flawOfInclusion(sha256: Sha256, inclusion: Inclusion): string | undefined {
  const { index, size, proof, root } = inclusion;
  if (!isCount(index) || !isCount(size)) return 'index or size is no count';
  if (index >= size) return `index ${index} is not in a tree of size ${size}`;
  const { length } = inclusion.leafHash;
  if (length !== HASH_BYTES) return `the leaf has a hash of ${length} bytes`;
  let [fn, sn, r] = [index, size - 1, inclusion.leafHash];
  for (const p of proof) {
    if (sn === 0) return `the proof has ${proof.length} hashes, more than belong to it`;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(sha256, p, r);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      r = nodeHash(sha256, r, p);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) return `the proof has ${proof.length} hashes, fewer than belong to it`;
  return equalBytes(r, root) ? undefined : `the proof leads to root ${hex(r)}, not ${hex(root)}`;
}

export interface Consistency {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: Hash;
  readonly toRoot: Hash;
  readonly proof: readonly Hash[];
}

/**
 * RFC 9162, section 2.1.4.2. In words what does not hold; undefined where the proof holds. A proof from
 * size 0 is refused: every tree extends the empty one, so it would prove nothing.
 */
export function flawOfConsistency(sha256: Sha256, consistency: Consistency): string | undefined {
  const { from, to, fromRoot, toRoot, proof } = consistency;
  if (!isCount(from) || !isCount(to)) return 'a size is no count';
  if (from === 0) return 'nothing can be consistent with a tree of size 0';
  if (from > to) return `size ${from} comes after size ${to}`;
  if (from === to) {
    if (proof.length > 0) return 'two trees of one size need no proof, and there is one';
    return equalBytes(fromRoot, toRoot)
      ? undefined
      : `two roots of size ${to}: ${hex(fromRoot)} and ${hex(toRoot)}`;
  }
  if (proof.length === 0) return 'there is no proof';
  let [fn, sn] = [from - 1, to - 1];
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  // A complete tree is the first node of its own proof, and the proof leaves it out.
  const [first, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof;
  let [fr, sr] = [first as Hash, first as Hash];
  for (const c of rest) {
    if (sn === 0) return `the proof has ${proof.length} hashes, more than belong to it`;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(sha256, c, fr);
      sr = nodeHash(sha256, c, sr);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sha256, sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) return `the proof has ${proof.length} hashes, fewer than belong to it`;
  if (!equalBytes(fr, fromRoot))
    return `the proof leads to root ${hex(fr)} at size ${from}, not ${hex(fromRoot)}`;
  if (!equalBytes(sr, toRoot))
    return `the proof leads to root ${hex(sr)} at size ${to}, not ${hex(toRoot)}`;
  return undefined;
}

/** The root of a complete subtree: of the 2^level leaves from index * 2^level on. */
export interface Node {
  readonly level: number;
  readonly index: number;
}

/** The leaves from `start` to before `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The subtrees whose roots are the inclusion proof of a leaf, from its sibling up: PATH(m, D[n]) of
 * RFC 6962, section 2.1.1.
 */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!isCount(index) || !isCount(size) || index >= size)
    throw new RangeError(`index ${index} is not in a tree of size ${size}`);
  const ranges: Range[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const split = start + largestPowerBelow(end - start);
    if (index < split) {
      ranges.push({ start: split, end });
      end = split;
    } else {
      ranges.push({ start, end: split });
      start = split;
    }
  }
  return ranges.reverse();
}

/** The subtrees whose roots are the consistency proof: PROOF(m, D[n]) of RFC 6962, section 2.1.2. */
export function consistencyRanges(from: number, to: number): Range[] {
  if (!isCount(from) || !isCount(to) || from === 0 || from > to)
    throw new RangeError(`there is no consistency proof from size ${from} to ${to}`);
  const ranges: Range[] = [];
  let [start, end] = [0, to];
  while (from !== end) {
    const split = start + largestPowerBelow(end - start);
    if (from <= split) {
      ranges.push({ start: split, end });
      end = split;
    } else {
      ranges.push({ start, end: split });
      start = split;
    }
  }
  // Where the old tree is a subtree as it is, whoever verifies has its root already.
  if (start > 0) ranges.push({ start, end });
  return ranges.reverse();
}

/** The complete subtrees that a range of a tree consists of, from left to right. */
export function nodesOf({ start, end }: Range): Node[] {
  const nodes: Node[] = [];
  for (let at = start; at < end;) {
    let [level, width] = [0, 1];
    while (at % (width * 2) === 0 && at + width * 2 <= end) [level, width] = [level + 1, width * 2];
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

/** The hash over a range from those of its `nodesOf`, in their order. */
export function hashOver(sha256: Sha256, hashes: readonly Hash[]): Hash {
  return hashes.length === 0
    ? emptyRoot(sha256)
    : hashes.reduceRight((right, left) => nodeHash(sha256, left, right));
}

/** Hashes of complete subtrees, in the order in which they were asked for. */
export type ReadNodes = (nodes: readonly Node[]) => Promise<readonly Hash[]>;

/** The hash over each of the ranges, with one question for all nodes of all of them. */
export async function hashesOver(
  sha256: Sha256,
  ranges: readonly Range[],
  read: ReadNodes,
): Promise<Hash[]> {
  const nodes = ranges.map(nodesOf);
  const hashes = await read(nodes.flat());
  let at = 0;
  return nodes.map(({ length }) => hashOver(sha256, hashes.slice(at, (at += length))));
}

/**
 * The right edge of a tree that grows: the roots of its complete subtrees, at most one of each level. All
 * that is needed to append leaves and to know the root, in memory that does not grow with the tree.
 */
export class Frontier {
  /** By level; undefined where the size has no such bit. */
  private readonly levels: (Hash | undefined)[] = [];
  private leaves = 0;

  constructor(private readonly sha256: Sha256) {}

  /** From the hashes that `hashes` gave at that size. Throws RangeError where their number is another. */
  static at(sha256: Sha256, size: number, hashes: readonly Hash[]): Frontier {
    const nodes = nodesOf({ start: 0, end: size });
    if (nodes.length !== hashes.length)
      throw new RangeError(
        `size ${size} has ${nodes.length} complete subtrees, not ${hashes.length}`,
      );
    const frontier = new Frontier(sha256);
    frontier.leaves = size;
    nodes.forEach(({ level }, at) => (frontier.levels[level] = hashes[at]));
    return frontier;
  }

  get size(): number {
    return this.leaves;
  }

  /** `formed` is told the root of every complete subtree that the leaf completes, from the leaf up. */
  append(leaf: Hash, formed?: (level: number, hash: Hash) => void): void {
    this.appendTree(0, leaf, formed);
  }

  /** The 2^level leaves of a complete subtree at once; there must be a multiple of so many before it. */
  appendTree(level: number, root: Hash, formed?: (level: number, hash: Hash) => void): void {
    const width = 2 ** level;
    if (this.leaves % width !== 0)
      throw new RangeError(`no subtree of ${width} leaves begins at leaf ${this.leaves}`);
    let hash = root;
    for (; ; level++) {
      formed?.(level, hash);
      const left = this.levels[level];
      if (left === undefined) break;
      hash = nodeHash(this.sha256, left, hash);
      this.levels[level] = undefined;
    }
    this.levels[level] = hash;
    this.leaves += width;
  }

  root(): Hash {
    return hashOver(this.sha256, this.hashes());
  }

  /** From left to right, as `nodesOf` names them. */
  hashes(): Hash[] {
    return this.levels.filter((hash) => hash !== undefined).reverse();
  }

  copy(): Frontier {
    return Frontier.at(this.sha256, this.leaves, this.hashes());
  }
}

/** The hashes that lie one behind the other in these bytes. */
export function splitHashes(bytes: Uint8Array): Hash[] {
  if (bytes.length % HASH_BYTES !== 0)
    throw new RangeError(`${bytes.length} bytes are no list of hashes`);
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) =>
    bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  );
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function half(count: number): number {
  return Math.floor(count / 2);
}

function isPowerOfTwo(count: number): boolean {
  return largestPowerBelow(count) * 2 === count || count === 1;
}

/** The largest power of two smaller than `count`, which is at least 2. */
function largestPowerBelow(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}
