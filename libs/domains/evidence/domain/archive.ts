/**
 * The zip of a bundle (PKWARE APPNOTE 6.3.10) in one form only: UTF-8 names, deflate, no time, no comment, no
 * extra field but the offset of ZIP64, entries one behind the other and the directory after them. Any
 * program unpacks it; whoever verifies refuses every other form, so that no byte of the file is without a
 * check and no two programs can see different files in it.
 */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END_64_BYTES = 56;
const LOCATOR_64_BYTES = 20;
const EXTRA_64_BYTES = 12;

const UTF8_NAMES = 0x0800;
const DEFLATE = 8;
/** 1 January 1980, the first day that zip knows. */
const NO_DATE = 0x0021;
const MAX_16 = 0xffff;
const MAX_32 = 0xffffffff;

/** A directory beyond this is no bundle of ours: it would have more than a million files. */
const LARGEST_DIRECTORY = 256 * 1024 * 1024;

export interface Entry {
  readonly path: string;
  readonly crc: number;
  /** Bytes as they lie in the archive. */
  readonly packed: number;
  readonly size: number;
  /** Of its local header. */
  readonly offset: number;
}

const PATH = /^[a-z0-9][A-Za-z0-9._-]*(\/[a-z0-9][A-Za-z0-9._-]*)*$/;

/** What stands before an entry's packed bytes. */
export function localHeader({ path, crc, packed, size }: Omit<Entry, 'offset'>): Uint8Array {
  const name = nameOf(path);
  const bytes = new Uint8Array(LOCAL_BYTES + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, LOCAL, true);
  common(view, 4, { crc, packed, size }, name);
  bytes.set(name, LOCAL_BYTES);
  return bytes;
}

/** The directory and the end of the archive; `at`: where it begins. */
export function directory(entries: readonly Entry[], at: number): Uint8Array {
  const records = entries.map(centralRecord);
  const size = records.reduce((sum, { length }) => sum + length, 0);
  const large = entries.length >= MAX_16 || size >= MAX_32 || at >= MAX_32;
  const end = endOf(entries.length, size, at, large);
  const bytes = new Uint8Array(size + end.length);
  let offset = 0;
  for (const record of records) {
    bytes.set(record, offset);
    offset += record.length;
  }
  bytes.set(end, offset);
  return bytes;
}

function centralRecord({ path, crc, packed, size, offset }: Entry): Uint8Array {
  const name = nameOf(path);
  const large = offset >= MAX_32;
  const bytes = new Uint8Array(CENTRAL_BYTES + name.length + (large ? EXTRA_64_BYTES : 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CENTRAL, true);
  view.setUint16(4, large ? 45 : 20, true);
  common(view, 6, { crc, packed, size }, name);
  if (large) {
    view.setUint16(6, 45, true);
    view.setUint16(30, EXTRA_64_BYTES, true);
  }
  view.setUint32(42, large ? MAX_32 : offset, true);
  bytes.set(name, CENTRAL_BYTES);
  if (large) {
    const extra = CENTRAL_BYTES + name.length;
    view.setUint16(extra, 1, true);
    view.setUint16(extra + 2, 8, true);
    view.setBigUint64(extra + 4, BigInt(offset), true);
  }
  return bytes;
}

/** The fields that local header and central record have in common, from the version on. */
function common(
  view: DataView,
  at: number,
  { crc, packed, size }: Pick<Entry, 'crc' | 'packed' | 'size'>,
  name: Uint8Array,
): void {
  view.setUint16(at, 20, true);
  view.setUint16(at + 2, UTF8_NAMES, true);
  view.setUint16(at + 4, DEFLATE, true);
  view.setUint16(at + 8, NO_DATE, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, packed, true);
  view.setUint32(at + 18, size, true);
  view.setUint16(at + 22, name.length, true);
}

function endOf(count: number, size: number, at: number, large: boolean): Uint8Array {
  const bytes = new Uint8Array((large ? END_64_BYTES + LOCATOR_64_BYTES : 0) + END_BYTES);
  const view = new DataView(bytes.buffer);
  let end = 0;
  if (large) {
    view.setUint32(0, END_64, true);
    view.setBigUint64(4, BigInt(END_64_BYTES - 12), true);
    view.setUint16(12, 45, true);
    view.setUint16(14, 45, true);
    for (const [place, value] of [
      [24, count],
      [32, count],
      [40, size],
      [48, at],
    ] as const)
      view.setBigUint64(place, BigInt(value), true);
    view.setUint32(END_64_BYTES, LOCATOR_64, true);
    view.setBigUint64(END_64_BYTES + 8, BigInt(at + size), true);
    view.setUint32(END_64_BYTES + 16, 1, true);
    end = END_64_BYTES + LOCATOR_64_BYTES;
  }
  view.setUint32(end, END, true);
  view.setUint16(end + 8, large ? MAX_16 : count, true);
  view.setUint16(end + 10, large ? MAX_16 : count, true);
  view.setUint32(end + 12, large ? MAX_32 : size, true);
  view.setUint32(end + 16, large ? MAX_32 : at, true);
  return bytes;
}

function nameOf(path: string): Uint8Array {
  if (!PATH.test(path)) throw new RangeError(`${path} is no path of a bundle`);
  return new TextEncoder().encode(path);
}

/** Where an archive is read from. */
export interface Source {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Unpacks raw deflate (RFC 1951) to exactly `size` bytes; throws where that can not be. */
export type Inflate = (packed: Uint8Array, size: number) => Uint8Array;

/** It is no archive of this form. The message says where. */
export class NotTheForm extends Error {
  override readonly name = 'NotTheForm';
}

export interface Archive {
  readonly paths: readonly string[];
  has(path: string): boolean;
  /** Throws NotTheForm where the entry is damaged, or there is none. */
  read(path: string): Promise<Uint8Array>;
}

/** Throws NotTheForm. */
export async function openArchive(source: Source, inflate: Inflate): Promise<Archive> {
  const { entries, end } = await readDirectory(source);
  let at = 0;
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    if (entry.offset !== at) throw new NotTheForm(`${entry.path} does not begin at ${at}`);
    if (byPath.has(entry.path)) throw new NotTheForm(`${entry.path} is there twice`);
    byPath.set(entry.path, entry);
    at += localHeader(entry).length + entry.packed;
  }
  if (at !== end) throw new NotTheForm(`${end - at} bytes before the directory belong to no file`);
  return {
    paths: [...byPath.keys()],
    has: (path) => byPath.has(path),
    read: async (path) => {
      const entry = byPath.get(path);
      if (!entry) throw new NotTheForm(`${path} is missing`);
      const header = localHeader(entry);
      const bytes = await source.read(entry.offset, header.length + entry.packed);
      if (!startsWith(bytes, header))
        throw new NotTheForm(`the header of ${path} is not that of the directory`);
      try {
        const content = inflate(bytes.subarray(header.length), entry.size);
        if (content.length === entry.size) return content;
      } catch {
        // Damaged, as below.
      }
      throw new NotTheForm(`${path} can not be unpacked`);
    },
  };
}

async function readDirectory(source: Source): Promise<{ entries: Entry[]; end: number }> {
  const { count, size, at } = await readEnd(source);
  if (size > LARGEST_DIRECTORY || at + size > source.size)
    throw new NotTheForm('it has no directory');
  const bytes = await source.read(at, source.size - at);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Entry[] = [];
  let offset = 0;
  while (offset < size) {
    if (offset + CENTRAL_BYTES > size) throw new NotTheForm('its directory is cut');
    const nameBytes = view.getUint16(offset + 28, true);
    const extra = view.getUint16(offset + 30, true);
    const name = bytes.subarray(offset + CENTRAL_BYTES, offset + CENTRAL_BYTES + nameBytes);
    const path = new TextDecoder().decode(name);
    if (!PATH.test(path)) throw new NotTheForm('a file has a name that is none of a bundle');
    entries.push({
      path,
      crc: view.getUint32(offset + 16, true),
      packed: view.getUint32(offset + 20, true),
      size: view.getUint32(offset + 24, true),
      offset:
        extra === EXTRA_64_BYTES && offset + CENTRAL_BYTES + nameBytes + extra <= size
          ? Number(view.getBigUint64(offset + CENTRAL_BYTES + nameBytes + 4, true))
          : view.getUint32(offset + 42, true),
    });
    offset += CENTRAL_BYTES + nameBytes + extra;
  }
  if (entries.length !== count || !startsWith(bytes, directory(entries, at)))
    throw new NotTheForm('its directory is not of the one form that a bundle has');
  return { entries, end: at };
}

async function readEnd(source: Source): Promise<{ count: number; size: number; at: number }> {
  const none = new NotTheForm('it is no zip, or its end is cut off');
  if (source.size < END_BYTES) throw none;
  const bytes = await source.read(source.size - END_BYTES, END_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== END) throw none;
  const [count, size, at] = [
    view.getUint16(10, true),
    view.getUint32(12, true),
    view.getUint32(16, true),
  ];
  if (count !== MAX_16) return { count, size, at };
  const before = END_BYTES + LOCATOR_64_BYTES + END_64_BYTES;
  if (source.size < before) throw none;
  const large = await source.read(source.size - before, END_64_BYTES);
  const view64 = new DataView(large.buffer, large.byteOffset, large.byteLength);
  if (view64.getUint32(0, true) !== END_64) throw none;
  const [total, length, start] = [32, 40, 48].map((place) =>
    Number(view64.getBigUint64(place, true)),
  ) as [number, number, number];
  return { count: total, size: length, at: start };
}

function startsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  return bytes.length >= beginning.length && beginning.every((byte, at) => bytes[at] === byte);
}
