import { createHash, hash } from 'node:crypto';
import { canonicalMembers } from '#core/kernel/canonical-json.js';
import type { Envelope } from '#core/kernel/event.js';
import { type EventId, isId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';

/** An envelope before the store has given it a place: no recordedAt, revision or position yet. */
export type Unplaced = Omit<Envelope, 'recordedAt' | 'revision' | 'position'> & {
  readonly type: string;
  readonly data: object;
};

const [BEFORE, AFTER] = ['receivedAt', 'salt'] as const;

/**
 * An event's canonical bytes (RFC 8785) with a gap where the store puts `recordedAt` and `revision`. In
 * the order of RFC 8785 these two keys stand side by side, so that the store can stamp them by joining
 * three pieces while it holds the log's counter, and never parses what it stores.
 */
export class Content {
  private constructor(
    readonly head: Buffer,
    readonly tail: Buffer,
  ) {}

  static of(event: Unplaced): Content {
    const head = canonicalMembers(event, (name) => name <= BEFORE);
    const tail = canonicalMembers(event, (name) => name >= AFTER);
    return new Content(Buffer.from(`{${head},`), Buffer.from(`,${tail}}`));
  }

  /** The stored bytes. */
  at(recordedAt: Instant, revision: number): Buffer {
    const stamp = Buffer.from(`"recordedAt":"${recordedAt}","revision":${revision}`);
    return Buffer.concat([this.head, stamp, this.tail]);
  }

  /** SHA-256 over the pieces: equal for equal content, whenever and wherever it was placed. */
  get digest(): Buffer {
    return createHash('sha256').update(this.head).update(this.tail).digest();
  }

  /** Length of the stored bytes, up to the digits of the revision. */
  get length(): number {
    return this.head.length + this.tail.length + 64;
  }
}

/** What a store that keeps nothing but the bytes can tell of an event. */
export interface Placed {
  readonly id: EventId;
  readonly recordedAt: Instant;
  readonly revision: number;
  /** Equal to the digest of the content that was placed. */
  digest(): Buffer;
}

const STAMP = /^"recordedAt":"([^"]{24})","revision":(\d{1,10}),/;
const STAMP_BEGINS = '"recordedAt":"';
const ID_BEGINS = '"id":"';
/** Longer than any stamp. */
const STAMP_LENGTH = 80;

/**
 * Finds the stamp in stored bytes without parsing them; undefined where they were not written by `at`.
 *
 * Within a JSON text a quotation mark is escaped, so these keys occur as keys only; in the order of RFC
 * 8785 no object follows the stamp, and between `id` and the stamp none that has an id. The last
 * occurrence is therefore the envelope's own.
 */
export function placedIn(bytes: Uint8Array): Placed | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = buffer.lastIndexOf(STAMP_BEGINS);
  if (start < 0) return undefined;
  const stamp = STAMP.exec(buffer.toString('latin1', start, start + STAMP_LENGTH));
  const idStart = buffer.lastIndexOf(ID_BEGINS, start) + ID_BEGINS.length;
  const id = buffer.toString('latin1', idStart, idStart + 'evt_'.length + 36);
  if (!stamp || !isId('evt', id)) return undefined;
  const end = start + stamp[0].length - 1;
  return {
    id,
    recordedAt: stamp[1] as Instant,
    revision: Number(stamp[2]),
    // In one call: it takes half the time of several.
    digest: () =>
      hash('sha256', Buffer.concat([buffer.subarray(0, start), buffer.subarray(end)]), 'buffer'),
  };
}
