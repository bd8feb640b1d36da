import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Position } from '#core/kernel/position.js';
import { comparePositions } from '#core/kernel/position.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { utf8 } from './encoding.js';
import {
  firstOfRun,
  lastOfRun,
  positionOfRun,
  RUN_BYTES,
  streamOfRun,
  writeRun,
} from './stream-runs.js';

/** A stream goes to the bucket of the first byte of its hash. */
const BUCKETS = 256;
/** Bytes of a bucket that are kept before they go to the file: 4 MB over all buckets. */
const CHUNK = 512 * RUN_BYTES;

interface Bucket {
  readonly open: Buffer;
  used: number;
  /** Where in the file its full chunks begin. */
  readonly chunks: number[];
}

/** An event that does not follow the one before it in its stream. */
export interface OutOfOrder {
  readonly position: Position;
  readonly reason: string;
}

/**
 * Whether each stream's revisions are 0, 1, 2 ... along the log, however many streams there are. Who follows what
 * is known when all were seen: until then a few bytes of each event lie in a file without a name, sorted into
 * buckets, and no more than one bucket is ever looked at in memory.
 */
export class StreamOrder {
  private readonly buckets: readonly Bucket[] = Array.from({ length: BUCKETS }, () => ({
    open: Buffer.alloc(CHUNK),
    used: 0,
    chunks: [],
  }));
  private readonly single = Buffer.alloc(RUN_BYTES);
  private file: number | undefined;
  private written = 0;

  add({ stream, revision, position }: StoredEvent): void {
    writeRun(this.single, 0, utf8(stream), revision, BigInt(position));
    this.addRun(this.single, 0);
  }

  /** The same for events that follow each other, as they were packed. */
  addRun(runs: Buffer, at: number): void {
    const bucket = this.buckets[runs[at] as number] as Bucket;
    runs.copy(bucket.open, bucket.used, at, at + RUN_BYTES);
    bucket.used += RUN_BYTES;
    if (bucket.used === CHUNK) this.spill(bucket);
  }

  /** How many streams there are, and the first event in the log that is not in its stream's order. */
  look(): { readonly streams: number; readonly first: OutOfOrder | undefined } {
    let streams = 0;
    let first: OutOfOrder | undefined;
    const chunk = Buffer.alloc(CHUNK);
    for (const { open, used, chunks } of this.buckets) {
      const revisions = new Map<string, number>();
      let found: OutOfOrder | undefined;
      for (const at of chunks) {
        readSync(this.file as number, chunk, 0, CHUNK, at);
        found ??= outOfOrderIn(chunk, revisions);
      }
      found ??= outOfOrderIn(open.subarray(0, used), revisions);
      streams += revisions.size;
      if (found && (!first || comparePositions(found.position, first.position) < 0)) first = found;
    }
    return { streams, first };
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private spill(bucket: Bucket): void {
    this.file ??= namelessFile();
    writeSync(this.file, bucket.open, 0, CHUNK, this.written);
    bucket.chunks.push(this.written);
    this.written += CHUNK;
    bucket.used = 0;
  }
}

/** The first that does not follow; `revisions` has the last of each stream. */
function outOfOrderIn(runs: Buffer, revisions: Map<string, number>): OutOfOrder | undefined {
  for (let at = 0; at < runs.length; at += RUN_BYTES) {
    const stream = streamOfRun(runs, at);
    const revision = firstOfRun(runs, at);
    const expected = (revisions.get(stream) ?? -1) + 1;
    if (revision !== expected)
      return {
        position: positionOfRun(runs, at),
        reason: `has revision ${revision} of its stream where ${expected} belongs`,
      };
    revisions.set(stream, lastOfRun(runs, at));
  }
  return undefined;
}

/** Open for both, and gone with its last descriptor: also where the process is killed. */
function namelessFile(): number {
  const directory = mkdtempSync(join(tmpdir(), 'consent-ledger-verify-'));
  const file = openSync(join(directory, 'streams'), 'wx+', 0o600);
  rmSync(directory, { recursive: true });
  return file;
}
