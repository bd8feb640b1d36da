import { parseCheckpoint } from './checkpoint.js';
import { parseNote } from './note.js';

/** A note that somebody keeps, and the size that it is kept as. Whether it is signed is not known yet. */
export interface KnownCheckpoint {
  readonly from: 'ledger' | 'memory beside the key' | 'witness';
  readonly size: number;
  readonly note: string;
}

/** What one place keeps, by size. */
export interface KnownFrom {
  readonly from: KnownCheckpoint['from'];
  /** Larger ones came after the reading had begun. */
  readonly upTo: number;
  readonly checkpoints: AsyncIterable<{ readonly size: number; readonly note: string }>;
}

/** The size in a note of that origin; undefined where it is of another log or no checkpoint at all. */
export function sizeIn(note: string, origin: string): number | undefined {
  const checkpoint = parseCheckpoint(parseNote(note)?.text ?? '');
  return checkpoint?.origin === origin ? checkpoint.size : undefined;
}

/** Whether it is a checkpoint, and not one of that origin. What can not be read may be of any log. */
export function isOfOtherLog(note: string, origin: string): boolean {
  const checkpoint = parseCheckpoint(parseNote(note)?.text ?? '');
  return checkpoint !== undefined && checkpoint.origin !== origin;
}

/** The checkpoints of all places, those of one size together, the smallest first. */
export async function* merged(
  places: readonly KnownFrom[],
): AsyncGenerator<readonly KnownCheckpoint[], undefined> {
  const ahead: { next(): Promise<KnownCheckpoint | undefined>; head?: KnownCheckpoint }[] =
    places.map(({ from, upTo, checkpoints }) => {
      const reading = checkpoints[Symbol.asyncIterator]();
      return {
        next: async () => {
          const { value, done } = await reading.next();
          return done || value.size > upTo ? undefined : { from, ...value };
        },
      };
    });
  for (const place of ahead) place.head = await place.next();
  for (;;) {
    const sizes = ahead.flatMap(({ head }) => head?.size ?? []);
    if (sizes.length === 0) return undefined;
    const size = Math.min(...sizes);
    const group: KnownCheckpoint[] = [];
    for (const place of ahead)
      while (place.head?.size === size) {
        group.push(place.head);
        place.head = await place.next();
      }
    yield group;
  }
}
