import { EventEmitter, once } from 'node:events';
import type { AppendExpectedRevision } from '@eventstore/db-client';

/** An event as a client proposes it. */
export interface ProposedEvent {
  readonly id: string;
  readonly type: string;
  readonly isJson: boolean;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
}

export interface LogRecord extends ProposedEvent {
  readonly stream: string;
  readonly revision: bigint;
  /** The first byte of the record; both the commit and the prepare position of the event. */
  readonly offset: bigint;
  /** The byte after its last. */
  readonly end: bigint;
  /** Milliseconds since 1970. */
  readonly created: number;
}

export type AppendOutcome =
  | { readonly kind: 'written' | 'repeated'; readonly revision: bigint; readonly offset: bigint }
  /** `current`: the stream's last revision, undefined where there is no such stream. */
  | { readonly kind: 'wrong-revision'; readonly current: bigint | undefined };

/** Roughly what a record holds beside names and payload: lengths, ids, flags, times. */
const FRAME = 104n;

/** The server's own records before the first event. */
const HEADER = 281n;

/**
 * The log of a KurrentDB server, in memory: what is appended lies at byte offsets, so positions are sparse, and the
 * checks before an append are those of the server:
 *
 * - at an exact revision (or `no_stream`) below the stream's last, ids are compared at those very revisions, for ever:
 *   all equal is a repetition, answered with its first place; anything else is a wrong revision;
 * - `any` and `stream_exists` recognise only ids that this process appended lately.
 */
export class ServerLog {
  private readonly all: LogRecord[] = [];
  private readonly streams = new Map<string, LogRecord[]>();
  /** By event id. The server keeps the latest use of an id, in whatever stream, and starts with none. */
  private readonly recent = new Map<string, LogRecord>();
  private readonly growth = new EventEmitter().setMaxListeners(0);

  /** In the order of their offsets. */
  get records(): readonly LogRecord[] {
    return this.all;
  }

  /** Where the next record will begin. */
  get end(): bigint {
    return this.all.at(-1)?.end ?? HEADER;
  }

  stream(name: string): readonly LogRecord[] {
    return this.streams.get(name) ?? [];
  }

  /** The index of the first record at or after this byte; how many there are where there is none. */
  indexFrom(offset: bigint): number {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.all[middle] as LogRecord).offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Ends when something is appended after this call, or `signal` aborts. */
  async grown(signal: AbortSignal): Promise<void> {
    await once(this.growth, 'appended', { signal }).catch(() => undefined);
  }

  append(
    stream: string,
    expected: AppendExpectedRevision,
    events: readonly ProposedEvent[],
  ): AppendOutcome {
    const present = this.stream(stream);
    const last = present.at(-1);
    const wrong: AppendOutcome = { kind: 'wrong-revision', current: last?.revision };
    if (expected === 'any' || expected === 'stream_exists') {
      if (expected === 'stream_exists' && last === undefined) return wrong;
      return this.recently(stream, events, wrong) ?? this.write(stream, last, events);
    }
    const after = expected === 'no_stream' ? -1n : expected;
    const current = last?.revision ?? -1n;
    if (after > current) return wrong;
    if (after === current) return this.write(stream, last, events);
    const there = present.slice(Number(after) + 1, Number(after) + 1 + events.length);
    if (events.length === 0 || events.some(({ id }, index) => there[index]?.id !== id))
      return wrong;
    return repetitionOf(there);
  }

  /** What a process knows only as long as it runs is gone. */
  forgetRecentIds(): void {
    this.recent.clear();
  }

  /** Loses everything behind the first `count` records, as an election can where a quorum was lost. */
  truncate(count: number): void {
    for (const { stream } of this.all.splice(count)) this.streams.get(stream)?.pop();
    this.recent.clear();
  }

  private recently(
    stream: string,
    events: readonly ProposedEvent[],
    wrong: AppendOutcome,
  ): AppendOutcome | undefined {
    const known = events.map(({ id }) => {
      const found = this.recent.get(id);
      return found?.stream === stream ? found : undefined;
    });
    if (known[0] === undefined) return undefined;
    const there = known.filter((record) => record !== undefined);
    return there.length === events.length ? repetitionOf(there) : wrong;
  }

  private write(
    stream: string,
    last: LogRecord | undefined,
    events: readonly ProposedEvent[],
  ): AppendOutcome {
    let revision = last?.revision ?? -1n;
    let offset = this.end;
    const created = Date.now();
    const records = events.map((event) => {
      const end = offset + sizeOf(stream, event);
      const record = { ...event, stream, revision: ++revision, offset, end, created };
      offset = end;
      return record;
    });
    const kept = this.streams.get(stream) ?? [];
    this.streams.set(stream, kept);
    for (const record of records) {
      this.all.push(record);
      kept.push(record);
      this.recent.set(record.id, record);
    }
    this.growth.emit('appended');
    return { kind: 'written', revision, offset: records.at(-1)?.offset ?? this.end };
  }
}

function repetitionOf(records: readonly LogRecord[]): AppendOutcome {
  const { revision, offset } = records.at(-1) as LogRecord;
  return { kind: 'repeated', revision, offset };
}

function sizeOf(stream: string, { type, data, metadata }: ProposedEvent): bigint {
  const texts = Buffer.byteLength(stream) + Buffer.byteLength(type);
  return FRAME + BigInt(texts + data.length + metadata.length);
}
