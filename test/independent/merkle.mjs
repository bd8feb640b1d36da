// The tree of RFC 6962, section 2.1, and the two proofs of RFC 9162, section 2.1. A hash is a Buffer of 32 bytes (SHA-256).
import { createHash } from 'node:crypto';

export function sha256(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function leafHash(bytes) {
  return sha256(Buffer.of(0), bytes);
}

function nodeHash(left, right) {
  return sha256(Buffer.of(1), left, right);
}

/**
 * The hash of the tree over these hashes (RFC 6962, 2.1): of leaves, or of subtrees that are full and equally large; the
 * last of them may be smaller, since the split falls in the same place.
 */
export function rootOf(hashes) {
  if (hashes.length === 0) return sha256();
  if (hashes.length === 1) return hashes[0];
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

/** RFC 9162, 2.1.3.2. Throws where leaf `index` is not shown to be in the tree of this size and root. */
export function checkInclusion({ index, leaf, proof, size, root }) {
  if (index >= size) throw new Error(`leaf ${index} lies beyond a tree of ${size}`);
  if (leaf.length !== 32) throw new Error(`the hash of leaf ${index} has ${leaf.length} bytes`);
  let [fn, sn] = [index, size - 1];
  let hash = leaf;
  for (const sibling of proof) {
    if (sn === 0) throw new Error(`the proof of leaf ${index} is too long`);
    if (odd(fn) || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (!odd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new Error(`the proof of leaf ${index} is too short`);
  checkSame(`the root from leaf ${index}`, hash, root);
}

/**
 * RFC 9162, 2.1.4.2. Throws where the tree `after` is not shown to begin with the whole tree `before`; both are
 * `{size, root}`. Nothing is shown from an empty tree, so that is refused too.
 */
export function checkConsistency({ before, after, proof }) {
  if (before.size === 0) throw new Error('from an empty log nothing can be shown');
  if (before.size > after.size)
    throw new Error(`the log was longer before: ${before.size}, and then ${after.size}`);
  if (before.size === after.size) {
    if (proof.length > 0) throw new Error('between two trees of one size there is no proof');
    return checkSame(`the root at size ${before.size}`, after.root, before.root);
  }
  let [fn, sn] = [before.size - 1, after.size - 1];
  while (odd(fn)) [fn, sn] = [half(fn), half(sn)];
  const [start, ...path] = fn === 0 ? [before.root, ...proof] : proof;
  if (start === undefined) throw new Error('the proof is empty');
  let [first, second] = [start, start];
  for (const sibling of path) {
    if (sn === 0) throw new Error('the proof is too long');
    if (odd(fn) || fn === sn) {
      first = nodeHash(sibling, first);
      second = nodeHash(sibling, second);
      while (!odd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      second = nodeHash(second, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new Error('the proof is too short');
  checkSame(`the root at size ${before.size}`, first, before.root);
  checkSame(`the root at size ${after.size}`, second, after.root);
}

/** Sizes go beyond 32 bits, where shifts would cut them. */
function half(number) {
  return Math.floor(number / 2);
}

function odd(number) {
  return number % 2 === 1;
}

function checkSame(what, computed, stated) {
  if (!computed.equals(stated))
    throw new Error(
      `${what} is ${computed.toString('base64')} and not ${stated.toString('base64')}`,
    );
}
