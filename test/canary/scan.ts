import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where something was found that should be nowhere. */
export interface Finding {
  readonly file: string;
  readonly encoding: string;
  readonly mark: string;
  /** The letters and digits that follow it: which field it was put into. */
  readonly field: string;
}

/** Every way in which a text might lie in a file, and still be read by somebody who looks for it. */
export function encodingsOf(mark: string): ReadonlyMap<string, Buffer> {
  const bytes = Buffer.from(mark, 'utf8');
  const hex = bytes.toString('hex');
  const swapped = Buffer.from(mark, 'utf16le').swap16();
  const found = new Map<string, Buffer>([
    ['utf-8', bytes],
    ['lower-case', Buffer.from(mark.toLowerCase())],
    ['upper-case', Buffer.from(mark.toUpperCase())],
    ['utf-16le', Buffer.from(mark, 'utf16le')],
    ['utf-16be', swapped],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
    ['url', Buffer.from(hex.replace(/../g, '%$&'))],
    ['URL', Buffer.from(hex.toUpperCase().replace(/../g, '%$&'))],
    ['json escapes', Buffer.from(hex.replace(/../g, '\\u00$&'))],
    ['bytes as hex of utf-16', Buffer.from(Buffer.from(mark, 'utf16le').toString('hex'))],
    ['reversed', Buffer.from([...mark].reverse().join(''))],
  ]);
  // Base64 of a text depends on where in its group of three bytes it begins; the ends depend on their neighbours.
  for (let offset = 0; offset < 3; offset++) {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const from = Math.ceil((offset * 8) / 6);
    const to = Math.floor(((offset + bytes.length) * 8) / 6);
    found.set(`base64 at ${offset}`, Buffer.from(text.slice(from, to)));
    found.set(
      `base64url at ${offset}`,
      Buffer.from(text.slice(from, to).replaceAll('+', '-').replaceAll('/', '_')),
    );
  }
  return found;
}

/** Looks for the marks, in every encoding, in every byte of every file below a directory. */
export async function scan(
  directory: string,
  marks: readonly string[],
): Promise<{
  readonly findings: readonly Finding[];
  readonly bytes: number;
  readonly files: number;
}> {
  const patterns = marks.flatMap((mark) =>
    [...encodingsOf(mark)].map(([encoding, bytes]) => ({ mark, encoding, bytes })),
  );
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const findings: Finding[] = [];
  let [bytes, files] = [0, 0];
  for (const entry of entries.filter((one) => one.isFile())) {
    const file = join(entry.parentPath, entry.name);
    const content = await readFile(file);
    bytes += content.length;
    files++;
    findings.push(...findingsIn(content, file.slice(directory.length + 1), patterns));
    findings.push(...findingsIn(Buffer.from(file), `name of ${entry.name}`, patterns));
  }
  return { findings, bytes, files };
}

function findingsIn(
  content: Buffer,
  file: string,
  patterns: readonly { readonly mark: string; readonly encoding: string; readonly bytes: Buffer }[],
): Finding[] {
  return patterns.flatMap(({ mark, encoding, bytes: pattern }) => {
    const fields = new Set<string>();
    for (let at = content.indexOf(pattern); at >= 0; at = content.indexOf(pattern, at + 1)) {
      const end = at + pattern.length;
      const rest = content.subarray(end, end + 24).toString('latin1');
      fields.add(/^[A-Za-z0-9]*/.exec(rest)?.[0] ?? '');
    }
    return [...fields].map((field) => ({ file, mark, encoding, field }));
  });
}
