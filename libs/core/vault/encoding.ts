const ILL_FORMED = /\p{Surrogate}/u;

/**
 * Parts as bytes that no other list of parts gives: each part's length in bytes (4, big endian), then its
 * UTF-8. A part that is no well-formed Unicode is refused with RangeError: UTF-8 would write a replacement
 * character for it, and two different parts would become one.
 */
export function lengthPrefixed(parts: readonly string[]): Buffer {
  let length = 0;
  for (const part of parts) {
    if (ILL_FORMED.test(part)) throw new RangeError('a part is not well-formed Unicode');
    length += 4 + Buffer.byteLength(part);
  }
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    const written = bytes.write(part, at + 4);
    bytes.writeUInt32BE(written, at);
    at += 4 + written;
  }
  return bytes;
}
