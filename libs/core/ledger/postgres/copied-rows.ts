import type pg from 'pg';

/** The names of what is read, in the order in which COPY gives them. */
export const COLUMNS = 'position, stream, revision, id, type, recorded_at, digest, bytes';
const COLUMN_COUNT = 8;

/** Signature, flags, and the length of what may follow them (PostgreSQL, COPY, "Binary Format"). */
const HEADER = 11 + 4 + 4;
const SIGNATURE_BEGINS = 0x50;

/**
 * A row of the log as COPY gives it in PostgreSQL's binary format: where in `copied` each column lies. There is one of
 * them for a whole COPY, and `copied` is the driver's own: both hold the next row soon.
 */
export class CopiedRow {
  copied: Buffer = Buffer.alloc(0);
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

  /** Reads the row that begins there; the end of it, or undefined where no row does. */
  read(copied: Buffer, at: number): number | undefined {
    if (at + 2 > copied.length || copied.readInt16BE(at) !== COLUMN_COUNT) return undefined;
    this.copied = copied;
    this.at = at + 2;
    this.position = this.number64();
    this.span(this.stream);
    this.revision = copied.readInt32BE(this.at + 4);
    this.at += 8;
    this.span(this.id);
    this.span(this.type);
    this.recordedAt = this.number64();
    this.span(this.digest);
    this.span(this.bytes);
    return this.at;
  }

  /** Each field begins with its length. */
  private span(span: Span): void {
    span.start = this.at + 4;
    span.end = span.start + this.copied.readInt32BE(this.at);
    this.at = span.end;
  }

  private number64(): number {
    const { copied, at } = this;
    this.at += 12;
    return copied.readInt32BE(at + 4) * 2 ** 32 + copied.readUInt32BE(at + 8);
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
          let at: number | undefined = chunk[0] === SIGNATURE_BEGINS ? HEADER : 0;
          while ((at = row.read(chunk, at)) !== undefined) take(row);
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
