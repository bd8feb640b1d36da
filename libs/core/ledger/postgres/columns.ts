import type pg from 'pg';
import { type Position, START } from '#core/kernel/position.js';
import { type Placed, placedIn } from '../content.js';
import { shifted, unshifted } from '../moved-store.js';
import type { StoredEvent } from '../port.js';

/** What the table repeats of an event's bytes, so that it can be found without reading them. */
interface Columns {
  readonly position: Position;
  readonly id: string;
  readonly type: string;
  readonly recorded_at: string;
  readonly digest: Buffer;
}

/** $1 after, $2 up to; with the one at $1, which tells the time of the log there. */
const COLUMNS = `
select position, id, type, digest,
       to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as recorded_at
  from ledger.events where position >= $1 and position <= $2 order by position`;

/** In the order of RFC 8785 these three keys are the last ones of an envelope. */
const END = /"stream":"([^"]{1,200})","type":"([^"]{1,100})","version":\d{1,9}\}$/;
const END_LENGTH = 400;

/**
 * What columns say otherwise than the bytes beside them, in words, by position: who changes a column changes what is
 * found for a time or a stream, and no hash of the bytes tells of it. `events` are what lies after `after`; positions
 * of a log that was moved here begin behind `from`.
 *
 * The column of the time never steps back along the log. Bytes that were recorded elsewhere may.
 */
export async function flawsOfColumns(
  pool: pg.Pool,
  after: Position,
  events: readonly StoredEvent[],
  from: Position = START,
): Promise<ReadonlyMap<Position, string>> {
  const flaws = new Map<Position, string>();
  const upTo = events.at(-1)?.position ?? after;
  const { rows } = await pool.query<Columns>({
    name: 'columns',
    text: COLUMNS,
    values: [unshifted(after, from), unshifted(upTo, from)],
  });
  const columns = new Map(rows.map((row) => [shifted(row.position, from), row]));
  let latest = columns.get(after)?.recorded_at ?? '';
  for (const event of events) {
    const row = columns.get(event.position);
    const flaw = row === undefined ? 'is there no more' : flawOf(event, row, latest);
    if (flaw !== undefined) flaws.set(event.position, flaw);
    latest = row?.recorded_at ?? latest;
  }
  return flaws;
}

function flawOf(
  { bytes, stream, revision }: StoredEvent,
  row: Columns,
  latest: string,
): string | undefined {
  const placed = placedIn(bytes);
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [, saidStream, type] =
    END.exec(end.toString('utf8', Math.max(0, end.length - END_LENGTH))) ?? [];
  if (placed === undefined || type === undefined) return 'has bytes that the ledger did not write';
  const differ = (column: string, says: string | number, bytesSay: string | number | undefined) =>
    says === bytesSay ? undefined : `column ${column} says ${says}, the bytes ${bytesSay}`;
  return (
    differ('stream', stream, saidStream) ??
    differ('revision', revision, placed.revision) ??
    differ('id', `evt_${row.id}`, placed.id) ??
    differ('type', row.type, type) ??
    differ('recorded_at', row.recorded_at, laterOf(placed.recordedAt, latest)) ??
    flawOfDigest(row, placed)
  );
}

/** Of two times, as the log writes them. */
function laterOf(a: string, b: string): string {
  return a > b ? a : b;
}

function flawOfDigest({ digest }: Columns, placed: Placed): string | undefined {
  const is = placed.digest();
  if (is.equals(digest)) return undefined;
  return `column digest says ${digest.toString('hex')}, the bytes have ${is.toString('hex')}`;
}
