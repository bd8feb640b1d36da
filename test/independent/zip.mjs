// The one form that the zip of a bundle has (docs/evidence.md), of those that PKWARE's APPNOTE.TXT allows.
import { crc32, inflateRawSync } from 'node:zlib';
import { textOf } from './note.mjs';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_LENGTH = 22;
const VERSION = 20;
const NAMES_ARE_UTF8 = 0x0800;
const DEFLATED = 8;
const FIRST_OF_JANUARY_1980 = 0x0021;

/**
 * The files of an archive: path to bytes, in their order. Everything around the packed bytes is written again from what
 * the directory says and compared, so that no byte is left that another program could read otherwise.
 */
export function readZip(bytes) {
  const end = bytes.length - END_LENGTH;
  if (end < 0 || bytes.readUInt32LE(end) !== END)
    throw new Error('it does not end as a zip without a comment does');
  const entries = readDirectory(bytes, end);
  let at = 0;
  const files = new Map();
  for (const entry of entries) {
    const header = Buffer.concat([u32(LOCAL), common(entry), entry.name]);
    at = expect(bytes, at, header, `the header of ${entry.path}`);
    const packed = bytes.subarray(at, at + entry.packedSize);
    if (files.has(entry.path)) throw new Error(`${entry.path} is in it twice`);
    files.set(entry.path, unpack(packed, entry));
    at += packed.length;
  }
  const start = at;
  let offset = 0;
  for (const entry of entries) {
    const header = Buffer.concat([
      u32(CENTRAL),
      u16(VERSION),
      common(entry),
      ...[0, 0, 0].map(u16), // a comment's length, the disk, attributes of a text
      ...[0, offset].map(u32), // attributes of a file
      entry.name,
    ]);
    at = expect(bytes, at, header, `the directory's line on ${entry.path}`);
    offset += 30 + entry.name.length + entry.packedSize;
  }
  const counts = [0, 0, entries.length, entries.length].map(u16);
  const last = [u32(END), ...counts, u32(at - start), u32(start), u16(0)];
  at = expect(bytes, at, Buffer.concat(last), 'the end of the directory');
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes are left over`);
  return files;
}

function readDirectory(bytes, end) {
  const count = bytes.readUInt16LE(end + 10);
  let at = bytes.readUInt32LE(end + 16);
  const entries = [];
  for (let n = 0; n < count; n++) {
    if (at + 46 > end || bytes.readUInt32LE(at) !== CENTRAL)
      throw new Error(`its directory has no line ${n + 1} of ${count}`);
    const name = bytes.subarray(at + 46, at + 46 + bytes.readUInt16LE(at + 28));
    entries.push({
      path: textOf(name),
      name,
      crc: bytes.readUInt32LE(at + 16),
      packedSize: bytes.readUInt32LE(at + 20),
      size: bytes.readUInt32LE(at + 24),
    });
    at += 46 + name.length;
  }
  return entries;
}

/** What a file's header and its line in the directory have in common. */
function common({ name, crc, packedSize, size }) {
  return Buffer.concat([
    ...[VERSION, NAMES_ARE_UTF8, DEFLATED, 0, FIRST_OF_JANUARY_1980].map(u16),
    ...[crc, packedSize, size].map(u32),
    ...[name.length, 0].map(u16),
  ]);
}

function unpack(packed, { path, crc, size }) {
  const { buffer, engine } = inflateRawSync(packed, {
    maxOutputLength: Math.max(size, 1),
    info: true,
  });
  if (engine.bytesWritten !== packed.length)
    throw new Error(`${path} has bytes behind its packed ones`);
  if (buffer.length !== size) throw new Error(`${path} has ${buffer.length} bytes and not ${size}`);
  if (crc32(buffer) !== crc) throw new Error(`${path} has another CRC-32`);
  return buffer;
}

function expect(bytes, at, expected, what) {
  const found = bytes.subarray(at, at + expected.length);
  if (!found.equals(expected))
    throw new Error(`${what}, at byte ${at}, has not the form of a bundle's`);
  return at + expected.length;
}

function u16(number) {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(number);
  return bytes;
}

function u32(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}
