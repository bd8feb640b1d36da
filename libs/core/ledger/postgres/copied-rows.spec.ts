import { expect, test } from '@jest/globals';
import { CopiedRow, type Span } from './copied-rows.js';

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);

const field = (bytes: Buffer) => Buffer.concat([number(bytes.length, 4), bytes]);

function number(value: number, bytes: 4 | 8): Buffer {
  const number = Buffer.alloc(bytes);
  if (bytes === 4) number.writeInt32BE(value);
  else number.writeBigInt64BE(BigInt(value));
  return number;
}

/** As COPY sends it; `bytes` are so many. */
const row = (position: number, bytes: number) =>
  Buffer.concat([
    Buffer.from([0, 8]),
    field(number(position, 8)),
    field(Buffer.from('subject-a')),
    field(number(7, 4)),
    field(Buffer.alloc(16, 1)),
    field(Buffer.from('SampleRecorded')),
    field(number(position * 1_000, 8)),
    field(Buffer.alloc(32, 2)),
    field(Buffer.alloc(bytes, 3)),
  ]);

test('rows are read wherever the pieces of a COPY end, however large they are', () => {
  const read = new CopiedRow();
  const text = ({ start, end }: Span) => read.copied.toString('latin1', start, end);
  const seen: unknown[] = [];
  const pieces = [
    Buffer.concat([HEADER, row(2 ** 40, 10)]),
    Buffer.concat([row(-1, 0), row(3, 100)]),
    row(4, 200_000),
    TRAILER,
  ];
  for (const piece of pieces) {
    read.hold(piece);
    while (read.read()) {
      const { position, revision, recordedAt, stream, type, id, digest, bytes } = read;
      expect([revision, text(stream), text(type)]).toEqual([7, 'subject-a', 'SampleRecorded']);
      expect([text(id), text(digest)]).toEqual(['\x01'.repeat(16), '\x02'.repeat(32)]);
      expect(text(bytes)).toBe('\x03'.repeat(bytes.end - bytes.start));
      seen.push([position, recordedAt, bytes.end - bytes.start]);
    }
  }
  expect(seen).toEqual([
    [2 ** 40, 2 ** 40 * 1_000, 10],
    [-1, -1_000, 0],
    [3, 3_000, 100],
    [4, 4_000, 200_000],
  ]);
});

test('a row that is cut is refused, whatever an earlier one has left behind it', () => {
  const read = new CopiedRow();
  read.hold(row(1, 100));
  expect(read.read()).toBe(true);
  read.hold(row(2, 100).subarray(0, -1));
  expect(() => read.read()).toThrow('ends at byte');
});
