import type pg from 'pg';
import { viewOf } from '../shapes.js';

/** The names of what is read, in the order in which COPY gives them. */
export const COLUMNS = 'position, stream, revision, id, type, recorded_at, digest, bytes';
const COLUMN_COUNT = 8;

/** Signature, flags, and the length of what may follow them (PostgreSQL, COPY, "Binary Format"). */
const HEADER = 11 + 4 + 4;
const SIGNATURE_BEGINS = 0x50;
/** Bytes for a row; more are taken where one needs them. */
const ROOM = 65_536;

/**
 * A row of the log as COPY gives it in PostgreSQL's binary format: where in `copied` each column lies. There is one of
 * them for a whole COPY, and `copied` is its own room: whoever looks at the row may write there, and both hold the next
 * row soon.
 */
export class CopiedRow {
  copied: Buffer = Buffer.alloc(ROOM);
  /** Of `copied`. */
  view: DataView = viewOf(this.copied);
  /** Of the store's own; exact up to 2^53. */
  position = 0;
  stream: Span = new Span();
  revision = 0;
  id: Span = new Span();
  type: Span = new Span();
  /** Microseconds since 2000. */
  recordedAt = 0;
  digest: Span = new Span();
  bytes: Span = new Span();

  private at = 0;
  private end = 0;

  /** Copies a piece of what COPY sends, which begins with a row or with what is before the first one. */
  hold(piece: Buffer): void {
    if (piece.length > this.copied.length) {
      this.copied = Buffer.alloc(2 * piece.length);
      this.view = viewOf(this.copied);
    }
    this.end = piece.copy(this.copied);
    this.at = this.copied[0] === SIGNATURE_BEGINS ? HEADER : 0;
  }

  /** Reads the next row of the piece; false where there is none. Throws where the piece ends within a row. */
  read(): boolean {
    const { view } = this;
    if (this.at + 2 > this.end || view.getInt16(this.at) !== COLUMN_COUNT) return false;
    this.at += 2;
    this.position = this.number64();
    this.span(this.stream);
    this.revision = view.getInt32(this.at + 4);
    this.at += 8;
    this.span(this.id);
    this.span(this.type);
    this.recordedAt = this.number64();
    this.span(this.digest);
    this.span(this.bytes);
    // Behind it lies what an earlier piece has left there.
    if (this.at > this.end)
      throw new Error(`a row of COPY ends at byte ${this.at} of a piece of ${this.end}`);
    return true;
  }

  /** Each field begins with its length. */
  private span(span: Span): void {
    span.start = this.at + 4;
    span.end = span.start + this.view.getInt32(this.at);
    this.at = span.end;
  }

  private number64(): number {
    const { view, at } = this;
    this.at += 12;
    return view.getInt32(at + 4) * 2 ** 32 + view.getUint32(at + 8);
  }
}

export class Span {
  start = 0;
  end = 0;
}

/**
 * Has `take` look at each row that the query gives while it arrives, by COPY, which takes a fraction of the time of
 * rows as the driver reads them. `columns`: those of `COLUMNS`.
 */
export function copyRows(
  client: pg.PoolClient,
  query: string,
  take: (row: CopiedRow) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const row = new CopiedRow();
    let failed: Error | undefined;
    // What the driver calls on a query that is under way; it has none of its own for COPY.
    const copying = {
      submit: (wire: { query(text: string): void }) =>
        wire.query(`copy (${query}) to stdout (format binary)`),
      handleCopyData: ({ chunk }: { chunk: Buffer }) => {
        if (failed) return;
        try {
          row.hold(chunk);
          while (row.read()) take(row);
        } catch (error) {
          failed = error as Error;
        }
      },
      handleCommandComplete: () => undefined,
      handleError: (error: Error) => (failed = error),
      handleReadyForQuery: () => (failed ? reject(failed) : resolve()),
    };
    client.query(copying as unknown as pg.Submittable);
  });
}
