import type { StreamName } from './ids.js';

/**
 * Which of `count` partitions a stream is in, 0 to count - 1: FNV-1a of 32 bits over the code units of its
 * name, mixed (murmur3's finalizer, so that few low bits depend on all of it), modulo `count`.
 *
 * Checkpoints say how far the partition of this number is: the function is a storage format. Never edit it.
 */
export function partitionOf(stream: StreamName, count: number): number {
  if (count === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < stream.length; i++) hash = Math.imul(hash ^ stream.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % count;
}
