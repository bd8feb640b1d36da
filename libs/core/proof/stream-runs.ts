import type { Position } from '#core/kernel/position.js';
import { sha256 } from './node-crypto.js';

/**
 * Events of one stream that follow each other in the log and in the stream, as those of one append do, in a few bytes:
 * the hash of the stream, the first and the last revision, the position of the first. Whether streams are whole can be
 * told from these as well as from the events.
 */
export const STREAM_HASH_BYTES = 16;
const FIRST = STREAM_HASH_BYTES;
const LAST = FIRST + 4;
const POSITION = LAST + 4;
export const RUN_BYTES = POSITION + 8;

/** Of a single event; `stream` is the name in UTF-8. */
export function writeRun(
  runs: Buffer,
  at: number,
  stream: Uint8Array,
  revision: number,
  position: bigint,
): void {
  runs.set(sha256(stream).subarray(0, STREAM_HASH_BYTES), at);
  runs.writeInt32BE(revision, at + FIRST);
  runs.writeInt32BE(revision, at + LAST);
  runs.writeBigInt64BE(position, at + POSITION);
}

/** The stream's hash, a character for each byte. */
export function streamOfRun(runs: Buffer, at: number): string {
  return runs.toString('latin1', at, at + STREAM_HASH_BYTES);
}

export function firstOfRun(runs: Buffer, at: number): number {
  return runs.readInt32BE(at + FIRST);
}

export function lastOfRun(runs: Buffer, at: number): number {
  return runs.readInt32BE(at + LAST);
}

export function positionOfRun(runs: Buffer, at: number): Position {
  return String(runs.readBigInt64BE(at + POSITION)) as Position;
}

/** Packs events that follow each other in the log. */
export class RunPacker {
  private readonly runs: Buffer;
  private readonly starts: Uint16Array;
  private count = 0;
  private events = 0;
  private stream = Buffer.alloc(0);
  private revision = 0;

  /** `first`: the position of the first event; those of the others follow without a gap. */
  constructor(
    private readonly first: Position,
    most: number,
  ) {
    this.runs = Buffer.alloc(most * RUN_BYTES);
    this.starts = new Uint16Array(most);
  }

  /** The name of its stream lies in `bytes` from `start` to before `end`. */
  add(bytes: Buffer, { start, end }: { start: number; end: number }, revision: number): void {
    if (revision === this.revision + 1 && this.stream.equals(bytes.subarray(start, end)))
      this.runs.writeInt32BE(revision, (this.count - 1) * RUN_BYTES + LAST);
    else {
      this.stream = Buffer.from(bytes.subarray(start, end));
      const position = BigInt(this.first) + BigInt(this.events);
      writeRun(this.runs, this.count * RUN_BYTES, this.stream, revision, position);
      this.starts[this.count++] = this.events;
    }
    this.revision = revision;
    this.events++;
  }

  packed(): { readonly runs: Buffer; readonly runStarts: Uint16Array } {
    return {
      runs: this.runs.subarray(0, this.count * RUN_BYTES),
      runStarts: this.starts.subarray(0, this.count),
    };
  }
}
