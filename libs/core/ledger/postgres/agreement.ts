import type { Shape } from '../shapes.js';
import { instantOfColumn } from './columns.js';
import type { CopiedRow } from './copied-rows.js';

/**
 * Whether the columns say what the bytes beside them say, for an event that fits a shape; the digest left out.
 * `flawOfColumns` finds nothing either then. The other way round it may: this one is only for events that were
 * recorded where they lie, so that their own time is the one of the column.
 */
export class Agreement {
  private time = -1;
  /** The same as the envelope has it. */
  private readonly instant = Buffer.alloc(INSTANT_LENGTH);

  holds(row: CopiedRow, { gaps, starts, ends }: Shape): boolean {
    const { copied, stream, revision, id } = row;
    const start = (gap: number) => starts[gap] as number;
    const end = (gap: number) => ends[gap] as number;
    return (
      stream.end - stream.start <= LONGEST_STREAM &&
      sameBytes(copied, stream.start, stream.end, start(gaps.stream), end(gaps.stream)) &&
      numberIn(copied, start(gaps.revision), end(gaps.revision)) === revision &&
      isIdOf(copied, id.start, start(gaps.id), end(gaps.id)) &&
      this.isTime(row, start(gaps.recordedAt), end(gaps.recordedAt))
    );
  }

  /** Events of one append, and often of several, have the same time. */
  private isTime(row: CopiedRow, start: number, end: number): boolean {
    if (row.recordedAt !== this.time) {
      if (row.recordedAt < 0 || row.recordedAt % 1_000 !== 0) return false;
      this.time = row.recordedAt;
      this.instant.write(instantOfColumn(row.recordedAt), 'latin1');
    }
    if (end - start !== INSTANT_LENGTH) return false;
    const { copied } = row;
    for (let n = 0; n < INSTANT_LENGTH; n++)
      if (copied[start + n] !== this.instant[n]) return false;
    return true;
  }
}

const INSTANT_LENGTH = 24;
/** As the end of an envelope has it at most, see `flawOfColumns`. */
const LONGEST_STREAM = 200;

function sameBytes(bytes: Buffer, start: number, end: number, from: number, to: number): boolean {
  if (end - start !== to - from) return false;
  for (let n = end - start - 1; n >= 0; n--) if (bytes[start + n] !== bytes[from + n]) return false;
  return true;
}

function numberIn(digits: Buffer, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at++) number = number * 10 + (digits[at] as number) - 0x30;
  return number;
}

const ID_PREFIX = Buffer.from('evt_');
const ID_LENGTH = ID_PREFIX.length + 36;
const HEX = Buffer.from('0123456789abcdef');
const HYPHEN = 0x2d;
/** Where the two digits of each byte stand in a UUID, and its hyphens. */
const DIGITS_AT = Uint8Array.from({ length: 16 }, (_, n) => 2 * n + hyphensBefore(n));
const HYPHENS_AT = [8, 13, 18, 23];

function hyphensBefore(byte: number): number {
  return [4, 6, 8, 10].filter((first) => byte >= first).length;
}

/** Whether the text is the id of an event with that UUID, one that `isId` takes for one. */
function isIdOf(bytes: Buffer, uuid: number, start: number, end: number): boolean {
  if (end - start !== ID_LENGTH) return false;
  const version = (bytes[uuid + 6] as number) >> 4;
  if ((version !== 7 && version !== 8) || (bytes[uuid + 8] as number) >> 6 !== 2) return false;
  for (let n = 0; n < ID_PREFIX.length; n++) if (bytes[start + n] !== ID_PREFIX[n]) return false;
  const text = start + ID_PREFIX.length;
  for (const at of HYPHENS_AT) if (bytes[text + at] !== HYPHEN) return false;
  for (let n = 0; n < 16; n++) {
    const byte = bytes[uuid + n] as number;
    const at = text + (DIGITS_AT[n] as number);
    if (bytes[at] !== HEX[byte >> 4] || bytes[at + 1] !== HEX[byte & 0x0f]) return false;
  }
  return true;
}
