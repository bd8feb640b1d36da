import { promisify } from 'node:util';
import { crc32, deflateRaw } from 'node:zlib';
import { directory, type Entry, localHeader } from '../queries/evidence.js';

const pack = promisify(deflateRaw) as (bytes: Uint8Array) => Promise<Buffer>;

export interface File {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The files as one zip, in their order; memory holds one file and the directory. */
export async function* zipOf(files: AsyncIterable<File>): AsyncGenerator<Uint8Array> {
  const entries: Entry[] = [];
  let offset = 0;
  for await (const { path, bytes } of files) {
    const packed = await pack(bytes);
    const entry = { path, crc: crc32(bytes), packed: packed.length, size: bytes.length };
    const header = localHeader(entry);
    entries.push({ ...entry, offset });
    offset += header.length + packed.length;
    yield header;
    yield packed;
  }
  yield directory(entries, offset);
}
