import type { EventCatalogue } from '#core/kernel/catalogue.js';
import { CannotDecode, type Codec } from './codec.js';
import type { StoredEvent } from './port.js';

/**
 * The bytes of an event without what is inside its texts and its numbers: the pieces in between, and for each gap
 * whether a text or a number belongs there. The type and its version are no gaps.
 *
 * Two events of one shape are the same JSON but for values of the same kind, and those `Codec.decode` does not look
 * at, apart from the envelope's id, stream and revision. So where one can be decoded the other can be, if these three
 * are what they should be. That is told without parsing anything.
 */
export class Shape {
  /** Where the gaps of the event that fitted last begin and end. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The pieces one behind the other, and where each of them ends. */
  private readonly pieces: DataView;
  private readonly pieceEnds: Int32Array;

  constructor(
    pieces: readonly Uint8Array[],
    private readonly isText: Uint8Array,
    /** Which gap has what the store keeps in columns too. */
    readonly gaps: Readonly<Record<Told, number>>,
  ) {
    this.starts = new Int32Array(isText.length);
    this.ends = new Int32Array(isText.length);
    this.pieces = viewOf(Buffer.concat(pieces));
    let end = 0;
    this.pieceEnds = Int32Array.from(pieces, ({ length }) => (end += length));
  }

  /**
   * Whether the bytes from `start` to before `end` have this shape; leaves their gaps in `starts` and `ends`. In one
   * piece: a call for each gap takes as long as looking at it.
   */
  fits(bytes: DataView, start: number, end: number): boolean {
    const { pieces, pieceEnds, isText, starts, ends } = this;
    for (let gap = 0, at = start, from = 0; ; gap++) {
      const to = pieceEnds[gap] as number;
      if (at + to - from > end) return false;
      for (; from + 4 <= to; from += 4, at += 4)
        if (bytes.getInt32(at) !== pieces.getInt32(from)) return false;
      for (; from < to; from++, at++)
        if (bytes.getUint8(at) !== pieces.getUint8(from)) return false;
      if (gap === isText.length) return at === end;
      starts[gap] = at;
      if (isText[gap] === 1) {
        for (; at + 4 <= end; at += 4) {
          const four = bytes.getInt32(at);
          const quotation = (four ^ 0x22222222) - 0x01010101;
          const backslash = (four ^ 0x5c5c5c5c) - 0x01010101;
          const other = (four - 0x20202020) | (four + 0x01010101) | four;
          if (((other | quotation | backslash) & HIGHEST_BITS) !== 0) break;
        }
        while (at < end && PLAIN[bytes.getUint8(at)] === 1) at++;
      } else {
        while (at < end && DIGITS[bytes.getUint8(at)] === 1) at++;
        // JSON has no number with leading zeros; longer ones may not be exact.
        const digits = at - (starts[gap] as number);
        if (digits < 1 || digits > 15) return false;
        if (digits > 1 && bytes.getUint8(at - digits) === ZERO) return false;
      }
      ends[gap] = at;
    }
  }
}

/** What the envelope and a column both say. */
export type Told = 'id' | 'recordedAt' | 'revision' | 'stream';
const TOLD: readonly Told[] = ['id', 'recordedAt', 'revision', 'stream'];

/** For reading four bytes at once, wherever they lie. */
export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Bytes that stand for themselves in a JSON text: printable ASCII without quotation mark and backslash. */
const PLAIN = tableOf((byte) => byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c);
const DIGITS = tableOf((byte) => byte >= 0x30 && byte <= 0x39);
const ZERO = 0x30;
const HIGHEST_BITS = 0x80808080;

function tableOf(holds: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => Number(holds(byte)));
}

/** So many shapes of one type are kept; what its optional fields make of it are a few. */
const MOST_SHAPES = 32;

/** The shapes of events that were decoded, by type; the one that fitted last is tried first. */
export class Shapes {
  private readonly known = new Map<string, Shape[]>();

  constructor(
    private readonly codec: Pick<Codec, 'decode'>,
    private readonly catalogue: EventCatalogue,
  ) {}

  /** One that the bytes from `start` to before `end` fit; undefined where that is not known of them. */
  fitting(type: string, bytes: DataView, start: number, end: number): Shape | undefined {
    const shapes = this.known.get(type);
    if (shapes === undefined) return undefined;
    for (let n = 0; n < shapes.length; n++) {
      const shape = shapes[n] as Shape;
      if (!shape.fits(bytes, start, end)) continue;
      if (n > 0) [shapes[0], shapes[n]] = [shape, shapes[0] as Shape];
      return shape;
    }
    return undefined;
  }

  /** Whether it can be decoded; what is of its shape will be found from now on. */
  learn(event: StoredEvent): boolean {
    let type: string, version: number;
    try {
      ({ type, version } = this.codec.decode(event));
    } catch (error) {
      if (error instanceof CannotDecode) return false;
      throw error;
    }
    // What is lifted from an older version may fail for its values.
    if (this.catalogue.get(type)?.version !== version) return true;
    const shapes = this.known.get(type) ?? [];
    const shape = shapes.length < MOST_SHAPES ? shapeOf(event.bytes) : undefined;
    if (shape?.fits(viewOf(event.bytes), 0, event.bytes.length)) shapes.push(shape);
    this.known.set(type, shapes);
    return true;
  }
}

/** A text with what escapes it, or a number, or what opens and closes objects and lists. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\]]/g;
/** What is left of JSON without white space when these are taken out. */
const BETWEEN = /^[:,a-z]*$/;

/**
 * The shape of bytes that are a JSON object; undefined where what is `Told` does not lie where `placedIn` looks for it.
 */
function shapeOf(bytes: Uint8Array): Shape | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (!BETWEEN.test(text.replaceAll(TOKEN, ''))) return undefined;
  const pieces: Uint8Array[] = [];
  const isText: number[] = [];
  const gaps = new Map<string, number>();
  const starts = new Map<string, number>();
  let [depth, from, key] = [0, 0, ''];
  const leaveOut = (start: number, end: number, kind: number) => {
    if (depth === 1) {
      gaps.set(key, isText.length);
      starts.set(key, start);
    }
    pieces.push(bytes.slice(from, start));
    isText.push(kind);
    from = end;
  };
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const end = index + token.length;
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (token.startsWith('"') && text[end] === ':') key = depth === 1 ? token : key;
    else if (depth === 1 && (key === '"type"' || key === '"version"')) continue;
    else if (token.startsWith('"')) leaveOut(index + 1, end - 1, 1);
    else leaveOut(index, end, 0);
  }
  pieces.push(bytes.slice(from));
  const stamp = text.lastIndexOf('"recordedAt":"');
  if (starts.get('"recordedAt"') !== stamp + '"recordedAt":"'.length) return undefined;
  if (starts.get('"id"') !== text.lastIndexOf('"id":"', stamp) + '"id":"'.length) return undefined;
  const [id, recordedAt, revision, stream] = TOLD.map((one) => gaps.get(`"${one}"`));
  if (id === undefined || recordedAt === undefined) return undefined;
  if (revision === undefined || stream === undefined) return undefined;
  return new Shape(pieces, Uint8Array.from(isText), { id, recordedAt, revision, stream });
}
