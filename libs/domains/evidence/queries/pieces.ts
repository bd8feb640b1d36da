import type { QueryBus } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import { type StreamName, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { comparePositions, type Position } from '#core/kernel/position.js';
import type { Ledger } from '#core/ledger/ledger.js';
import type { StoredEvent } from '#core/ledger/port.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';
import { TellEvents } from '#domains/audit/queries/tell-events.message.js';
import type { KeyDestroyed } from '#domains/erasure/domain/erasure.events.js';
import { AskKeyEpochs } from '#domains/erasure/queries/key-epochs.message.js';
import type { KeyStatus } from '../domain/bundle.js';
import type { Node } from '../domain/vocabulary.js';
import type { Words } from './evidence.js';
import type { StoredStreams } from './evidence.tokens.js';
import { consentsOf, recordsByPiece } from './records.js';

/** What pieces are read from. */
export interface Sources {
  readonly ledger: Ledger;
  readonly store: StoredStreams;
  readonly queries: QueryBus;
}

/** What all pieces of a bundle have in common. */
export interface Making {
  readonly purpose?: string;
  readonly createdAt: Instant;
  /** What was recorded later was not asked for. */
  readonly end: Position;
  readonly checkpoint: Sealed;
}

export type Sealed = Pick<PublishedCheckpoint, 'size' | 'root' | 'position'>;

/** An event as read and as stored. */
interface Pair {
  readonly event: Recorded;
  readonly stored: StoredEvent;
}

type Told = Pair & { readonly says: Words };

/** Of a person's stream. */
interface Page {
  /** Events that were read; fewer than a page holds where the stream ends. */
  readonly read: number;
  /** What was asked for of them. */
  readonly told: readonly Told[];
  /** The event that destroyed the keys, asked for or not. */
  readonly destruction?: Pair;
}

/** A person, or some of the events of one who has more than a part should hold. */
export interface Piece {
  readonly subjectId: SubjectId;
  readonly key: KeyStatus;
  readonly told: readonly Told[];
  readonly records: readonly Node[];
  readonly continued: boolean;
  readonly ends: boolean;
  /** The event that destroyed the keys, where it is not among those that were asked for. */
  readonly erasure?: StoredEvent;
}

/**
 * A part is closed once it has so many events, and of one person no more are read at once. Few: what a page to read is
 * made of is then gone before it is taken for something that lasts.
 */
export const PART = 100;
/** Or once they have so many bytes. */
export const PART_BYTES = 256 * 1024;
/** People whose first events are read at once. */
const AT_ONCE = 50;

const KEY_DESTROYED: KeyDestroyed['type'] = 'KeyDestroyed';

/** Reads what was asked for of people, a piece of it at a time. */
export class Pieces {
  constructor(
    private readonly sources: Sources,
    private readonly making: Making,
  ) {}

  /** In the order of the people; of each at least one. */
  async *of(people: readonly SubjectId[]): AsyncGenerator<Piece> {
    const epochs = await this.sources.queries.execute(new AskKeyEpochs());
    for (let at = 0; at < people.length; at += AT_ONCE) {
      const some = people.slice(at, at + AT_ONCE);
      const firsts = await Promise.all(some.map((id) => this.page(streamOf('subject', id), 0)));
      for (const [n, subjectId] of some.entries())
        yield* this.ofPerson(subjectId, firsts[n] as Page, epochs);
    }
  }

  /**
   * What was asked for of a person, in pieces of at most a page, at least one. The stream is read twice: the
   * first piece already says what became of the keys, and what a consent amounted to depends on what came
   * later. Where it is one page, that page is all there is to read.
   */
  private async *ofPerson(
    subjectId: SubjectId,
    first: Page,
    epochs: ReadonlyMap<number, Instant>,
  ): AsyncGenerator<Piece> {
    const { createdAt, end } = this.making;
    const pages = () => this.pages(subjectId, first);
    let destruction: Pair | undefined;
    async function* known(): AsyncGenerator<Recorded> {
      for await (const page of pages()) {
        destruction ??= page.destruction;
        for (const { event } of page.told) yield event;
      }
    }
    const moment = { asOf: createdAt, knownAt: end };
    const recordsOf = recordsByPiece(
      await consentsOf(this.sources.queries, subjectId, known(), moment),
    );
    const key = keyStatusOf(subjectId, destruction?.event, epochs);
    const pieceOf = (told: readonly Told[], continued: boolean) => {
      const records = recordsOf(told.map(({ event }) => event));
      return { subjectId, key, told, records, continued };
    };
    let last: readonly Told[] = [];
    let continued = false;
    let isTold = false;
    for await (const page of pages())
      for (const told of portionsOf(page.told)) {
        if (last.length > 0) {
          yield { ...pieceOf(last, continued), ends: false };
          continued = true;
        }
        last = told;
        isTold ||= told.some(({ event }) => event.id === destruction?.event.id);
      }
    const erasure = isTold ? undefined : destruction?.stored;
    yield { ...pieceOf(last, continued), ends: true, erasure };
  }

  /** A person's stream a page at a time; the first is there already. */
  private async *pages(subjectId: SubjectId, first: Page): AsyncGenerator<Page> {
    let page = first;
    for (let from = 0; ; from += PART) {
      yield page;
      if (page.read < PART) return;
      page = await this.page(streamOf('subject', subjectId), from + PART);
    }
  }

  private async page(stream: StreamName, fromRevision: number): Promise<Page> {
    const { ledger, store, queries } = this.sources;
    const { purpose, end, checkpoint } = this.making;
    const options = { fromRevision, limit: PART };
    const [stored, recorded] = await Promise.all([
      store.read(stream, options),
      ledger.read(stream, options),
    ]);
    // The stream may have grown between the two reads, by what no checkpoint covers yet.
    const read = Math.min(stored.length, recorded.length);
    const upTo = (position: Position) =>
      recorded.slice(0, read).flatMap((event, at): Pair[] => {
        const isIn = comparePositions(event.position, position) <= 0;
        return isIn ? [{ event, stored: stored[at] as StoredEvent }] : [];
      });
    const known = upTo(end);
    const events = known.map(({ event }) => event);
    const words = await queries.execute(new TellEvents(events, end, purpose));
    return {
      read,
      told: known.flatMap((pair, at) => {
        const { says, bears } = words[at] as (typeof words)[number];
        return bears || pair.event.type === 'SubjectRegistered' ? [{ ...pair, says }] : [];
      }),
      destruction: upTo(checkpoint.position).find(({ event }) => event.type === KEY_DESTROYED),
    };
  }
}

export function bytesOf(told: readonly Told[]): number {
  return told.reduce((sum, { stored }) => sum + stored.bytes.length, 0);
}

/** In their order, each of one event at least and of no more bytes than a part should have where it has several. */
function* portionsOf(told: readonly Told[]): Generator<readonly Told[]> {
  let [from, bytes] = [0, 0];
  for (const [at, { stored }] of told.entries()) {
    if (at > from && bytes + stored.bytes.length > PART_BYTES) {
      yield told.slice(from, at);
      [from, bytes] = [at, 0];
    }
    bytes += stored.bytes.length;
  }
  if (from < told.length) yield told.slice(from);
}

/** As it is when the bundle is made, whatever period it is about. */
function keyStatusOf(
  subjectId: SubjectId,
  destruction: Recorded | undefined,
  epochs: ReadonlyMap<number, Instant>,
): KeyStatus {
  if (!destruction) return { subjectId, status: 'held' };
  const { destroyedAt, epoch } = (destruction as Recorded<KeyDestroyed>).data;
  const closedAt = epochs.get(epoch);
  return {
    subjectId,
    status: 'destroyed',
    destroyedAt,
    epoch,
    ...(closedAt ? { unreadableInEveryCopySince: closedAt } : {}),
  };
}
