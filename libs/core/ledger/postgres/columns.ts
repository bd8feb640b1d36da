import type pg from 'pg';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { instantOf } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import { type Placed, placedIn } from '../content.js';
import { shifted, unshifted } from '../moved-store.js';
import { type EventStore, LedgerCorrupt, type StoredEvent } from '../port.js';
import { COLUMNS, type CopiedRow, copyRows, type Span } from './copied-rows.js';

/** An event, and what the table repeats of its bytes so that it can be found without reading them. */
export interface EventWithColumns extends StoredEvent {
  readonly id: EventId;
  readonly type: string;
  readonly recordedAt: Instant;
  /** The same of the event before it; undefined for the first one of the log. */
  readonly before: Instant | undefined;
  readonly digest: Buffer;
}

/**
 * Reads the log with all its columns, as a check of everything does. Otherwise like `readAll` of the port. Positions of
 * a log that was moved here begin behind `from`.
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
    const own = this.own(after);
    const events: EventWithColumns[] = [];
    let [expected, before, missing] = [
      own,
      undefined as Instant | undefined,
      undefined as Position | undefined,
    ];
    // The one before the page tells the time of the log there.
    await this.eachRow(own, limit + 1, (row) => {
      const recordedAt = instantOfColumn(row.recordedAt);
      if (row.position > own && missing === undefined) {
        expected++;
        if (row.position !== expected) missing = this.shown(expected);
        else if (events.length < limit) events.push(this.eventIn(row, before));
      }
      before = recordedAt;
    });
    if (missing !== undefined) throw new LedgerCorrupt(missing, 'is missing');
    return { events, scannedTo: events.at(-1)?.position ?? after };
  }

  /** Has each of the next rows looked at, from the one at `own` on, which is the store's own position. */
  async eachRow(own: number, limit: number, take: (row: CopiedRow) => void): Promise<void> {
    const client = await this.pool.connect();
    try {
      await copyRows(
        client,
        `select ${COLUMNS} from ledger.events
          where position >= ${own} order by position limit ${Math.trunc(limit)}`,
        take,
      );
    } finally {
      client.release();
    }
  }

  /** A copy of what the row holds. */
  eventIn(row: CopiedRow, before: Instant | undefined): EventWithColumns {
    const { copied, stream, revision, id, type, digest, bytes } = row;
    const copyOf = ({ start, end }: Span) => Buffer.from(copied.subarray(start, end));
    return {
      position: this.shown(row.position),
      stream: copied.toString('utf8', stream.start, stream.end) as StreamName,
      revision,
      id: idOf(copied.subarray(id.start, id.end)),
      type: copied.toString('utf8', type.start, type.end),
      recordedAt: instantOfColumn(row.recordedAt),
      before,
      digest: copyOf(digest),
      bytes: copyOf(bytes),
    };
  }

  /** A position as this store counts it. */
  own(position: Position): number {
    return Number(unshifted(position, this.from));
  }

  /** The same as the ledger says it. */
  shown(own: number): Position {
    return shifted(String(own) as Position, this.from);
  }
}

const EPOCH = Date.UTC(2000, 0, 1);

/** The time in the column, which has microseconds since 2000. */
export function instantOfColumn(microseconds: number): Instant {
  return instantOf(EPOCH + Math.trunc(microseconds / 1_000));
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
