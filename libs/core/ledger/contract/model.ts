import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { EventId, StreamName } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import {
  type Appended,
  type EventStore,
  type Expected,
  type NewEvent,
  type StoredEvent,
} from '../port.js';
import { sampleEvent, sampleStream } from './samples.js';

/** A stream as simply as it can be told: which events it holds, and where. */
interface SimpleEvent {
  readonly event: NewEvent;
  readonly position: string;
}
interface Simple {
  /** Where the log ended before. */
  readonly from: Position;
  readonly streams: { readonly name: StreamName; readonly events: SimpleEvent[] }[];
}

/** One event of an append: new, or one that the stream holds, as it is or changed. */
type Piece =
  { readonly kind: 'new' } | { readonly kind: 'stored' | 'changed'; readonly index: number };

type Answer = { readonly revision: number } | { readonly error: string };

/** Appends something to a stream and compares the answer with what the simple model says. */
class Append implements fc.AsyncCommand<Simple, EventStore> {
  constructor(
    private readonly stream: number,
    private readonly mode: Expected['kind'] | 'exact-wrong',
    private readonly pieces: readonly Piece[],
  ) {}

  check(): boolean {
    return true;
  }

  async run(simple: Simple, store: EventStore): Promise<void> {
    const { name, events } = simple.streams[this.stream] as Simple['streams'][number];
    const batch = this.pieces.map((piece) => eventOf(piece, name, events));
    const expected = expectedOf(this.mode, events.length - 1);
    const wanted = answerOf(expected, batch, events);
    let appended: Appended | undefined;
    let answer: Answer;
    try {
      appended = await store.append({
        stream: name,
        expected,
        events: batch as [NewEvent, ...NewEvent[]],
      });
      answer = { revision: appended.revision };
    } catch (error) {
      const { name: kind, reason } = error as Error & { reason?: string };
      answer = { error: reason ?? kind };
    }
    expect(answer).toEqual(wanted);
    if (!appended) return;
    for (const [index, event] of batch.entries()) {
      const { revision, position } = appended.events[index] as Appended['events'][number];
      if (appended.repeated) expect(events[revision]?.position).toBe(position);
      else events[revision] = { event, position };
    }
  }

  toString(): string {
    const pieces = this.pieces.map((piece) =>
      piece.kind === 'new' ? 'new' : `${piece.kind} ${piece.index}`,
    );
    return `append to ${this.stream} at ${this.mode}: ${pieces.join(', ')}`;
  }
}

/** Reads a stream from somewhere on. */
class Read implements fc.AsyncCommand<Simple, EventStore> {
  constructor(
    private readonly stream: number,
    private readonly from: number,
  ) {}

  check(): boolean {
    return true;
  }

  async run(simple: Simple, store: EventStore): Promise<void> {
    const { name, events } = simple.streams[this.stream] as Simple['streams'][number];
    const found = await store.read(name, { fromRevision: this.from });
    expect(found.map(placeOf)).toEqual(
      events
        .map(({ position, event }, revision) => ({
          stream: name,
          revision,
          position,
          id: event.id,
        }))
        .slice(this.from),
    );
  }

  toString(): string {
    return `read ${this.stream} from ${this.from}`;
  }
}

/** Reads the whole log: of these streams it holds what was appended, each at its place, and no more. */
class ReadAll implements fc.AsyncCommand<Simple, EventStore> {
  constructor(private readonly limit: number) {}

  check(): boolean {
    return true;
  }

  async run(simple: Simple, store: EventStore): Promise<void> {
    const wanted = simple.streams.flatMap(({ name, events }) =>
      events.map(({ position, event }, revision) => ({
        stream: name,
        revision,
        position,
        id: event.id,
      })),
    );
    let after = simple.from;
    const names = new Set(simple.streams.map(({ name }) => name));
    const found: StoredEvent[] = [];
    for (;;) {
      const page = await store.readAll(after, { limit: this.limit });
      found.push(...page.events.filter(({ stream }) => names.has(stream)));
      if (page.events.length < this.limit) break;
      after = page.scannedTo;
    }
    const byPosition = [...wanted].sort((a, b) => Number(BigInt(a.position) - BigInt(b.position)));
    expect(found.map(placeOf)).toEqual(byPosition);
  }

  toString(): string {
    return `read the log, ${this.limit} a page`;
  }
}

const STREAMS = 3;

const stream = fc.nat({ max: STREAMS - 1 });
const piece: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Piece>({ kind: 'new' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('stored' as const, 'stored' as const, 'changed' as const),
      index: fc.nat({ max: 6 }),
    }),
  },
);
/** Mostly runs of what is stored: whole repetitions would else be rare. */
const pieces: fc.Arbitrary<Piece[]> = fc.oneof(
  fc.array(piece, { minLength: 1, maxLength: 4 }),
  fc
    .tuple(fc.nat({ max: 5 }), fc.integer({ min: 1, max: 3 }))
    .map(([from, count]) =>
      Array.from({ length: count }, (_, index): Piece => ({ kind: 'stored', index: from + index })),
    ),
);
const mode = fc.constantFrom<Expected['kind'] | 'exact-wrong'>(
  'none',
  'exact',
  'exact-wrong',
  'exists',
  'any',
);

/** Random commands, one after the other, against the store and a simple model of it. */
export function describeAgainstModel(storeOf: () => EventStore): void {
  test('does what a simple model of it does', async () => {
    const commands = fc.commands(
      [
        fc.tuple(stream, mode, pieces).map((args) => new Append(...args)),
        fc.tuple(stream, mode, pieces).map((args) => new Append(...args)),
        fc.tuple(stream, fc.nat({ max: 8 })).map((args) => new Read(...args)),
        fc.integer({ min: 1, max: 30 }).map((limit) => new ReadAll(limit)),
      ],
      { maxCommands: 40 },
    );
    await fc.assert(
      fc.asyncProperty(commands, async (run) => {
        await fc.asyncModelRun(async () => {
          const streams = Array.from({ length: STREAMS }, () => ({
            name: sampleStream(),
            events: [],
          }));
          const from = (await storeOf().head())?.position ?? START;
          return { model: { from, streams }, real: storeOf() };
        }, run);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
}

function eventOf(piece: Piece, name: StreamName, events: readonly SimpleEvent[]): NewEvent {
  const stored = piece.kind === 'new' ? undefined : events[piece.index]?.event;
  if (!stored) return sampleEvent(name);
  return piece.kind === 'changed' ? sampleEvent(name, { id: stored.id, salt: 'changed' }) : stored;
}

function expectedOf(mode: Expected['kind'] | 'exact-wrong', last: number): Expected {
  if (mode === 'exact') return { kind: 'exact', revision: Math.max(last, 0) };
  if (mode === 'exact-wrong') return { kind: 'exact', revision: last + 7 };
  return { kind: mode };
}

/** The port's sentences, as literally as they can be written. */
function answerOf(
  expected: Expected,
  batch: readonly NewEvent[],
  events: readonly SimpleEvent[],
): Answer {
  const ids = batch.map(({ id }) => id);
  for (const [index, id] of ids.entries()) {
    const twin = ids.indexOf(id);
    if (twin === index) continue;
    const equal = sameContent(batch[twin] as NewEvent, batch[index] as NewEvent);
    return { error: equal ? 'partial-overlap' : 'other-content' };
  }
  const stored = (id: EventId) => events.findIndex(({ event }) => event.id === id);
  const found = batch.filter(({ id }) => stored(id) >= 0);
  if (found.some((event) => !sameContent(event, events[stored(event.id)]?.event as NewEvent)))
    return { error: 'other-content' };
  if (found.length > 0) {
    const first = stored(ids[0] as EventId);
    const contiguous = ids.every((id, index) => stored(id) >= 0 && stored(id) === first + index);
    return contiguous ? { revision: first + ids.length - 1 } : { error: 'partial-overlap' };
  }
  const last = events.length - 1;
  const met =
    expected.kind === 'any' ||
    (expected.kind === 'none' && last < 0) ||
    (expected.kind === 'exists' && last >= 0) ||
    (expected.kind === 'exact' && expected.revision === last);
  return met ? { revision: last + batch.length } : { error: 'WrongExpectedRevision' };
}

function sameContent(a: NewEvent, b: NewEvent): boolean {
  return a.content.digest.equals(b.content.digest);
}

function placeOf({ stream: name, revision, position, bytes }: StoredEvent): object {
  const { id } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { id: string };
  return { stream: name, revision, position, id };
}
