import { Refused } from '#core/kernel/refused.js';
import { readJson } from './json-body.js';
import { RequestRefused } from './request-refused.js';

/** Newline-delimited JSON coming in. A bad line is a line's error and never ends the stream. */

export const NDJSON = 'application/x-ndjson';

/** Bytes that one line may have; 1 MiB, like a body. */
export const LINE_LIMIT = 1024 * 1024;

/** A line that was read, or why it can not be. `line` counts from 1. */
export type Line =
  | { readonly line: number; readonly value: unknown }
  | { readonly line: number; readonly refused: RequestRefused | Refused };

const [LINE_FEED, CARRIAGE_RETURN] = [0x0a, 0x0d];
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * The lines of a stream, as many at a time as have arrived, so that callers can answer them in one go. A
 * carriage return before a line feed belongs to the line's end; the last line needs no end; an empty line is
 * refused as such. Memory is bounded by the longest line. Throws only where the stream itself breaks.
 */
export async function* readNdjson(
  source: AsyncIterable<Uint8Array>,
  limit = LINE_LIMIT,
): AsyncGenerator<readonly Line[]> {
  const pieces = new Pieces(limit);
  let line = 0;
  let first = true;
  const take = (): Line => {
    line++;
    return pieces.tooLong ? { line, refused: lineTooLarge() } : lineOf(line, pieces.join());
  };
  for await (const chunk of source) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (first && rest.length > 0) {
      first = false;
      // A mark that is cut between two chunks would be refused as no JSON; nobody sends it so.
      if (rest.subarray(0, 3).equals(BYTE_ORDER_MARK)) rest = rest.subarray(3);
    }
    const lines: Line[] = [];
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      pieces.add(rest.subarray(0, end));
      lines.push(take());
      pieces.clear();
      rest = rest.subarray(end + 1);
    }
    pieces.add(rest);
    if (lines.length > 0) yield lines;
  }
  if (pieces.length > 0) yield [take()];
}

function lineOf(line: number, bytes: Buffer): Line {
  const text = bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
  if (isBlank(text))
    return { line, refused: new RequestRefused('unreadable', 'blank-line', 'The line is empty.') };
  try {
    return { line, value: readJson(text) };
  } catch (error) {
    if (error instanceof RequestRefused || error instanceof Refused)
      return { line, refused: error };
    throw error;
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09);
}

function lineTooLarge(): RequestRefused {
  return new RequestRefused('too-large', 'line-too-large', 'The line is longer than 1 MiB.');
}

/** The parts of the line being read. Of one that is too long nothing is kept. */
class Pieces {
  private parts: Buffer[] = [];
  length = 0;

  constructor(private readonly limit: number) {}

  get tooLong(): boolean {
    return this.length > this.limit;
  }

  add(part: Buffer): void {
    this.length += part.length;
    if (this.tooLong) this.parts = [];
    else if (part.length > 0) this.parts.push(part);
  }

  join(): Buffer {
    return this.parts.length === 1 ? (this.parts[0] as Buffer) : Buffer.concat(this.parts);
  }

  clear(): void {
    this.parts = [];
    this.length = 0;
  }
}
