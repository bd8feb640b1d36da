import type { StreamName } from '#core/kernel/ids.js';
import type { StoredEvent } from '../port.js';

interface Read {
  readonly stream: StreamName;
  readonly fromRevision: number;
  readonly toRevision: number;
  resolve(events: StoredEvent[]): void;
  reject(error: unknown): void;
}

/** What a query gives back: an event, and by its place which of the reads asked for it. */
export interface ReadRow extends StoredEvent {
  readonly read: number;
}

export function storedIn({ stream, revision, position, bytes }: ReadRow): StoredEvent {
  return { stream, revision, position, bytes };
}

/** The largest revision that a stream can have. */
export const LAST_REVISION = 2_147_483_647;

/** $1 streams, $2 and $3 the revisions each is read from and to, $4 the last position. Events of one read are in order. */
export const readStreams = `
select r.number::int - 1 as read, e.stream, e.revision, e.position, e.bytes
  from unnest($1::text[], $2::int[], $3::int[])
    with ordinality r(stream, from_revision, to_revision, number)
  cross join lateral (
    select stream, revision, position, bytes from ledger.events
      where (stream, revision) >= (r.stream, r.from_revision)
        and (stream, revision) <= (r.stream, r.to_revision) and position <= $4
      order by stream, revision offset 0
  ) e
`;

/** So many reads travel in one query, and so many queries at once: one long stream must not stop all others. */
const MOST_READS = 100;
const LANES = 2;

/**
 * Reads of streams that come while others are under way are collected and travel together: a busy process
 * asks the database some hundred times a second, not once for every request it serves.
 */
export class StreamReads {
  private readonly waiting: Read[] = [];
  private lanes = 0;

  constructor(
    private readonly query: (
      streams: readonly StreamName[],
      fromRevisions: readonly number[],
      toRevisions: readonly number[],
    ) => Promise<readonly ReadRow[]>,
  ) {}

  read(
    stream: StreamName,
    fromRevision: number,
    toRevision: number,
  ): Promise<readonly StoredEvent[]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ stream, fromRevision, toRevision, resolve, reject });
      if (this.lanes < LANES) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.lanes++;
    // What is asked for in the same turn of the event loop travels together.
    await Promise.resolve();
    while (this.waiting.length > 0) await this.answer(this.waiting.splice(0, MOST_READS));
    this.lanes--;
  }

  private async answer(reads: readonly Read[]): Promise<void> {
    try {
      const rows = await this.query(
        reads.map(({ stream }) => stream),
        reads.map(({ fromRevision }) => fromRevision),
        reads.map(({ toRevision }) => toRevision),
      );
      const found: StoredEvent[][] = reads.map(() => []);
      for (const row of rows) found[row.read]?.push(storedIn(row));
      for (const [index, read] of reads.entries()) read.resolve(found[index] ?? []);
    } catch (error) {
      for (const read of reads) read.reject(error);
    }
  }
}
