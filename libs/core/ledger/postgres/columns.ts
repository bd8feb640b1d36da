import type pg from 'pg';
import type { Position } from '#core/kernel/position.js';
import { type Placed, placedIn } from '../content.js';
import type { StoredEvent } from '../port.js';

/** What the table repeats of an event's bytes, so that it can be found without reading them. */
interface Columns {
  readonly position: Position;
  readonly id: string;
  readonly type: string;
  readonly recorded_at: string;
  readonly digest: Buffer;
}

/** $1 after, $2 up to. */
const COLUMNS = `
select position, id, type, digest,
       to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as recorded_at
  from ledger.events where position > $1 and position <= $2 order by position`;

/** In the order of RFC 8785 these three keys are the last ones of an envelope. */
const END = /"stream":"([^"]{1,200})","type":"([^"]{1,100})","version":\d{1,9}\}$/;
const END_LENGTH = 400;

/**
 * What columns say otherwise than the bytes beside them, in words, by position: who changes a column changes what is
 * found for a time or a stream, and no hash of the bytes tells of it. `events` are what lies after `after`.
 */
export async function flawsOfColumns(
  pool: pg.Pool,
  after: Position,
  events: readonly StoredEvent[],
): Promise<ReadonlyMap<Position, string>> {
  const flaws = new Map<Position, string>();
  const upTo = events.at(-1)?.position ?? after;
  const { rows } = await pool.query<Columns>({
    name: 'columns',
    text: COLUMNS,
    values: [after, upTo],
  });
  const columns = new Map(rows.map((row) => [row.position, row]));
  for (const event of events) {
    const row = columns.get(event.position);
    const flaw = row === undefined ? 'is there no more' : flawOf(event, row);
    if (flaw !== undefined) flaws.set(event.position, flaw);
  }
  return flaws;
}

function flawOf({ bytes, stream, revision }: StoredEvent, row: Columns): string | undefined {
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
    differ('recorded_at', row.recorded_at, placed.recordedAt) ??
    flawOfDigest(row, placed)
  );
}

function flawOfDigest({ digest }: Columns, placed: Placed): string | undefined {
  const is = placed.digest();
  if (is.equals(digest)) return undefined;
  return `column digest says ${digest.toString('hex')}, the bytes have ${is.toString('hex')}`;
}
