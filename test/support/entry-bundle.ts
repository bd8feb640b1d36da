/** The entries in a bundle of c2sp.org/tlog-tiles; undefined where the bytes are none. */
export function entriesIn(bundle: Uint8Array): Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bundle.length;) {
    if (at + 2 > bundle.length) return undefined;
    const length = ((bundle[at] as number) << 8) | (bundle[at + 1] as number);
    const entry = bundle.subarray(at + 2, at + 2 + length);
    if (entry.length < length) return undefined;
    entries.push(entry);
    at += 2 + length;
  }
  return entries;
}
