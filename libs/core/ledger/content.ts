import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Envelope } from '#core/kernel/event.js';
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
    const entries = Object.entries(event).filter(([, value]) => value !== undefined);
    const head = Object.fromEntries(entries.filter(([key]) => key <= BEFORE));
    const tail = Object.fromEntries(entries.filter(([key]) => key >= AFTER));
    return new Content(
      Buffer.from(`${(canonicalize(head) as string).slice(0, -1)},`),
      Buffer.from(`,${(canonicalize(tail) as string).slice(1)}`),
    );
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
