import type pg from 'pg';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { instantOf } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import { type Placed, placedIn } from '../content.js';
import { shifted, unshifted } from '../moved-store.js';
import { type EventStore, LedgerCorrupt, type StoredEvent } from '../port.js';

/** An event, and what the table repeats of its bytes so that it can be found without reading them. */
export interface EventWithColumns extends StoredEvent {
  readonly id: EventId;
  readonly type: string;
  readonly recordedAt: Instant;
  /** The same of the event before it; undefined for the first one of the log. */
  readonly before: Instant | undefined;
  readonly digest: Buffer;
}

/** The names of what is read, in the order in which COPY gives them. */
const COLUMNS = 'position, stream, revision, id, type, recorded_at, digest, bytes';

/**
 * Reads the log with all its columns, as a check of everything does: by COPY in PostgreSQL's binary format, which
 * takes a fraction of the time of rows. Otherwise like `readAll` of the port. Positions of a log that was moved here
 * begin behind `from`.
 */
export class ReadWithColumns implements Pick<EventStore, 'readAll'> {
  constructor(
    private readonly pool: pg.Pool,
    private readonly from: Position = START,
  ) {}

  async readAll(
    after: Position,
    { limit }: { readonly limit: number },
  ): Promise<{ events: readonly EventWithColumns[]; scannedTo: Position }> {
    const own = BigInt(unshifted(after, this.from));
    // The one before the page tells the time of the log there.
    const statement = `copy (
      select ${COLUMNS} from ledger.events
       where position >= ${own} order by position limit ${Math.trunc(limit) + 1}
    ) to stdout (format binary)`;
    const events: EventWithColumns[] = [];
    let [expected, before] = [own, undefined as Instant | undefined];
    for (const { position, ...row } of rowsIn(await this.copied(statement))) {
      if (position > own) {
        expected += 1n;
        const shown = shifted(String(expected) as Position, this.from);
        if (position !== expected) throw new LedgerCorrupt(shown, 'is missing');
        if (events.length < limit) events.push({ ...row, position: shown, before });
      }
      before = row.recordedAt;
    }
    return { events, scannedTo: events.at(-1)?.position ?? after };
  }

  private async copied(statement: string): Promise<Buffer> {
    const client = await this.pool.connect();
    try {
      return await copyOut(client, statement);
    } finally {
      client.release();
    }
  }
}

/** What the driver calls on a query that is under way; it has none of its own for COPY. */
function copyOut(client: pg.PoolClient, statement: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let failed: Error | undefined;
    const query = {
      submit: (wire: { query(text: string): void }) => wire.query(statement),
      // What lies in the driver's own buffer is overwritten by what comes next.
      handleCopyData: ({ chunk }: { chunk: Buffer }) => pieces.push(Buffer.from(chunk)),
      handleCommandComplete: () => undefined,
      handleError: (error: Error) => (failed = error),
      handleReadyForQuery: () => (failed ? reject(failed) : resolve(Buffer.concat(pieces))),
    };
    client.query(query as unknown as pg.Submittable);
  });
}

/** Signature, flags, and the length of what may follow them (PostgreSQL, COPY, "Binary Format"). */
const HEADER = 11 + 4 + 4;
/** Of timestamps: microseconds since 2000. */
const EPOCH = Date.UTC(2000, 0, 1);

type Row = Omit<EventWithColumns, 'position' | 'before'> & {
  /** The store's own. */
  readonly position: bigint;
};

function* rowsIn(copied: Buffer): Generator<Row> {
  let at = HEADER;
  // Each row begins with the number of its fields, and each field with its length; the end is -1.
  const field = () => {
    const start = at + 4;
    at = start + copied.readInt32BE(at);
    return copied.subarray(start, at);
  };
  while (copied.readInt16BE(at) > 0) {
    at += 2;
    yield {
      position: field().readBigInt64BE(),
      stream: field().toString() as StreamName,
      revision: field().readInt32BE(),
      id: idOf(field()),
      type: field().toString(),
      recordedAt: instantOf(EPOCH + Number(field().readBigInt64BE() / 1_000n)),
      digest: field(),
      bytes: field(),
    };
  }
}

function idOf(uuid: Buffer): EventId {
  const hex = uuid.toString('hex');
  return `evt_${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as EventId;
}

/** In the order of RFC 8785 these three keys are the last ones of an envelope. */
const END = /"stream":"([^"]{1,200})","type":"([^"]{1,100})","version":\d{1,9}\}$/;
const END_LENGTH = 400;

/**
 * What a column says otherwise than the bytes beside it, in words; undefined where all agree. Who changes a
 * column changes what is found for a time or a stream, and no hash of the bytes tells of it.
 */
export function flawOfColumns(event: EventWithColumns): string | undefined {
  const { bytes } = event;
  const placed = placedIn(bytes);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = END.exec(text.toString('utf8', Math.max(0, text.length - END_LENGTH)));
  if (placed === undefined || end === null) return 'has bytes that the ledger did not write';
  const [, stream, type] = end;
  return (
    flawOf('stream', event.stream, stream) ??
    flawOf('revision', event.revision, placed.revision) ??
    flawOf('id', event.id, placed.id) ??
    flawOf('type', event.type, type) ??
    flawOf('recorded_at', event.recordedAt, laterOf(placed.recordedAt, event.before)) ??
    flawOfDigest(event, placed)
  );
}

/** The column never steps back along the log. Bytes that were recorded elsewhere, and moved here, may. */
function laterOf(said: Instant, before: Instant | undefined): Instant {
  return before !== undefined && before > said ? before : said;
}

function flawOf<T>(column: string, says: T, bytesSay: T | undefined): string | undefined {
  return says === bytesSay ? undefined : `column ${column} says ${says}, the bytes ${bytesSay}`;
}

function flawOfDigest({ digest }: EventWithColumns, placed: Placed): string | undefined {
  const is = placed.digest();
  return is.equals(digest)
    ? undefined
    : flawOf('digest', digest.toString('hex'), is.toString('hex'));
}
