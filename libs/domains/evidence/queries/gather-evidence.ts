import { Inject } from '@nestjs/common';
import { CommandBus, type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Opened, Recorded } from '#core/kernel/event.js';
import { ownerOf, type StreamName, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { comparePositions, earlierOf, type Position, START } from '#core/kernel/position.js';
import { invalid, Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { CLOCK } from '#core/platform/tokens.js';
import { type Checkpoint, parseCheckpoint } from '#core/proof/checkpoint.js';
import { base64 } from '#core/proof/encoding.js';
import { parseNote } from '#core/proof/note.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';
import { type Reader, RecordLook } from '#domains/access/commands/record-look.message.js';
import { TellEvents, type Words } from '#domains/audit/queries/tell-events.message.js';
import type { NoticeShown } from '#domains/consents/domain/consents.events.js';
import type { KeyDestroyed } from '#domains/erasure/domain/erasure.events.js';
import { AskKeyEpochs } from '#domains/erasure/queries/key-epochs.message.js';
import type { NoticePublished } from '#domains/purposes/domain/purposes.events.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import type { KeyStatus, OpenedLine, ProofLine, Scope } from '../domain/bundle.js';
import { recordsDocument, type RecordsDocument } from '../domain/records.js';
import type { Node } from '../domain/vocabulary.js';
import { STORED_STREAMS, type StoredStreams } from './evidence.tokens.js';
import { consentsOf, recordsByPiece } from './records.js';

export type { KeyStatus, OpenedLine, ProofLine, RecordsDocument, Scope, Words };
export {
  CATALOGUE,
  CHECKPOINT,
  CONSISTENCY,
  EARLIER,
  ERASURES,
  FORMAT,
  type Manifest,
  MANIFEST,
  MANIFEST_HASH,
  noticePath,
  partOf,
  VERIFY_PAGE,
} from '../domain/bundle.js';
export { directory, type Entry, localHeader } from '../domain/archive.js';

export interface EvidenceAsked {
  readonly subjects?: readonly SubjectId[];
  readonly purpose?: string;
  readonly period?: { readonly from?: Instant; readonly to?: Instant };
  /** Whether personal fields are opened. */
  readonly reveal: boolean;
  /** An earlier checkpoint, as it was signed: that the log was only added to since is proved. */
  readonly since?: string;
}

/** Proof of what is on record, a part of it at a time: memory holds one part, whatever there is of whomever. */
export interface Evidence {
  readonly scope: Scope;
  readonly opened: boolean;
  readonly createdAt: Instant;
  readonly log: { readonly origin: string; readonly keys: readonly string[] };
  readonly checkpoint: PublishedCheckpoint;
  readonly earlier?: {
    readonly note: string;
    readonly size: number;
    readonly hashes: readonly string[];
  };
  parts(): AsyncIterable<Part>;
  /** What the parts have named; to be asked for after them. */
  catalogue(): Promise<Catalogue>;
}

export interface Leaves {
  /** The stored bytes. */
  readonly events: readonly Uint8Array[];
  readonly proofs: readonly ProofLine[];
}

export interface Part extends Leaves {
  readonly people: readonly PersonToldOf[];
  /** Undefined where personal fields stay sealed. */
  readonly opened?: readonly OpenedLine[];
  /** Of those whose events end in this part. */
  readonly keys: readonly KeyStatus[];
  /** The destructions of keys that are not among the events: they came after the period. */
  readonly erasures: Leaves;
  readonly records: RecordsDocument;
}

/** A person, or the events of one who has too many for one part that lie in this one. */
export interface PersonToldOf {
  readonly subjectId: SubjectId;
  readonly key: KeyStatus;
  /** Whether the person began in an earlier part. */
  readonly continued: boolean;
  readonly items: readonly ItemToldOf[];
}

export interface ItemToldOf {
  readonly says: Words;
  readonly occurredAt: Instant;
  readonly recordedAt: Instant;
  readonly source: string;
  readonly index: number;
  /** The words that were shown, by their hash. */
  readonly notice?: NoticeShown;
  /** Personal fields; absent where they stay sealed. */
  readonly opened?: OpenedLine['data'];
}

export interface Catalogue extends Leaves {
  /** The words of notices, by hash. */
  readonly notices: ReadonlyMap<string, string>;
}

/** Everything that proves what is on record of some people. That it is handed out is recorded first. */
export class GatherEvidence extends Query<Evidence> {
  constructor(
    readonly asked: EvidenceAsked,
    readonly reader: Reader,
  ) {
    super();
  }
}

/** At most so many people are in one bundle: their ids are held in memory. */
const MOST_PEOPLE = 100_000;
/** A part is closed once it has so many events, and of one person no more are read at once. */
const PART = 400;
/** People whose first events are read at once. */
const AT_ONCE = 50;
const PAGE = 500;
/** How long events that are not sealed yet are waited for, in milliseconds. */
const PATIENCE = 15_000;

type Sealed = Pick<PublishedCheckpoint, 'size' | 'root' | 'position'>;

@QueryHandler(GatherEvidence)
export class GatherEvidenceHandler implements IQueryHandler<GatherEvidence> {
  constructor(
    private readonly ledger: Ledger,
    private readonly log: ProvenLog,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(STORED_STREAMS) private readonly store: StoredStreams,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ asked, reader }: GatherEvidence): Promise<Evidence> {
    const { purpose, period, reveal } = asked;
    await this.mustBeKnown(purpose);
    const since = asked.since === undefined ? undefined : earlierIn(asked.since);
    const head = (await this.ledger.head())?.position ?? START;
    const end = period?.to ? earlierOf(await this.ledger.positionAt(period.to), head) : head;
    const people = asked.subjects
      ? [...new Set(asked.subjects)].sort()
      : await this.everybody(asked, end);
    if (asked.subjects) await this.mustBeRegistered(people, asked.subjects, end);
    const checkpoint = await this.sealed(head);
    const earlier = since && (await this.extended(since, asked.since as string, checkpoint));
    await this.recordLooks(asked, people, end, reader);
    const named = new Named();
    const createdAt = this.clock.now();
    const scope: Scope = { subjects: asked.subjects && people, purpose, period };
    return {
      scope,
      opened: reveal,
      createdAt,
      log: await this.log.identity(),
      checkpoint,
      earlier,
      parts: () => this.parts(people, asked, { createdAt, end, checkpoint, named }),
      catalogue: () => this.catalogueOf(named, checkpoint),
    };
  }

  private async mustBeKnown(purpose: string | undefined): Promise<void> {
    if (purpose === undefined) return;
    const { purposes } = await this.queries.execute(new AskPrivacyCentre());
    if (!purposes[purpose])
      throw invalid({
        pointer: '/purpose',
        code: 'unknown-purpose',
        detail: 'there is no such purpose',
      });
  }

  private async mustBeRegistered(
    people: readonly SubjectId[],
    asked: readonly SubjectId[],
    end: Position,
  ): Promise<void> {
    for (let at = 0; at < people.length; at += AT_ONCE)
      await Promise.all(
        people.slice(at, at + AT_ONCE).map(async (id) => {
          const [first] = await this.store.read(streamOf('subject', id), { limit: 1 });
          if (first && comparePositions(first.position, end) <= 0) return;
          throw invalid({
            pointer: `/subjects/${asked.indexOf(id)}`,
            code: 'unknown-subject',
            detail: first ? 'nothing was recorded of them by then' : 'there is no such person',
          });
        }),
      );
  }

  /** Everybody of whom something was recorded for the purpose, in the period. */
  private async everybody({ purpose, period }: EvidenceAsked, end: Position): Promise<SubjectId[]> {
    const found = new Set<SubjectId>();
    let from = period?.from ? await this.before(period.from) : START;
    while (comparePositions(from, end) < 0) {
      const page = await this.ledger.readAll(from, { limit: PAGE, categories: ['subject'] });
      const asked = page.events.filter(({ position }) => comparePositions(position, end) <= 0);
      const about = await this.naming(asked, purpose);
      for (const { stream } of about) found.add(ownerOf(stream) as SubjectId);
      if (found.size > MOST_PEOPLE)
        throw invalid({
          pointer: period ? '/period' : '/purpose',
          code: 'too-many-people',
          detail: `a bundle has at most ${MOST_PEOPLE} people: ask for shorter periods`,
        });
      if (asked.length < page.events.length || page.scannedTo === from) break;
      from = page.scannedTo;
    }
    return [...found].sort();
  }

  /** Events that name the purpose or a topic of it; all where none is asked for. */
  private async naming(
    events: readonly Recorded[],
    purpose: string | undefined,
  ): Promise<readonly Recorded[]> {
    if (purpose === undefined) return events;
    const { topics } = await this.queries.execute(new AskPrivacyCentre());
    return events.filter(({ data }) => {
      const { purpose: key, topic } = data as { purpose?: string; topic?: string };
      return key === purpose || (topic !== undefined && topics[topic]?.purpose === purpose);
    });
  }

  /** The position after which the period begins: what was recorded at its first moment is in it. */
  private async before(from: Instant): Promise<Position> {
    const justBefore = new Date(Date.parse(from) - 1).toISOString() as Instant;
    return this.ledger.positionAt(justBefore);
  }

  /** A checkpoint over everything up to there. What was recorded a moment ago is sealed within seconds. */
  private async sealed(head: Position): Promise<PublishedCheckpoint> {
    for (const until = performance.now() + PATIENCE; ; await sleep(100)) {
      const checkpoint = await this.log.covering(head);
      if (checkpoint) return checkpoint;
      if (performance.now() > until)
        throw new Refused(
          'unavailable',
          'not-sealed-yet',
          'No checkpoint covers the newest events yet: is a process with the role sealer running?',
        );
    }
  }

  private async extended(
    since: Checkpoint,
    note: string,
    checkpoint: Sealed,
  ): Promise<NonNullable<Evidence['earlier']>> {
    const refuse = (code: string, detail: string) => invalid({ pointer: '/since', code, detail });
    if (since.origin !== this.log.origin)
      throw refuse('checkpoint-of-other-log', 'it is a checkpoint of another log');
    if (since.size === 0 || since.size > checkpoint.size)
      throw refuse('checkpoint-beyond-log', 'the log never had this size');
    try {
      const hashes = await this.log.consistency(since, checkpoint);
      return { note, size: since.size, hashes: hashes.map(base64) };
    } catch {
      // Either the note is no true one, or the log was rewritten: its holder must hear of it, whichever it is.
      throw new Refused(
        'conflict',
        'checkpoint-differs',
        'This log does not extend that checkpoint. If this ledger signed it, the log was changed since.',
      );
    }
  }

  private async recordLooks(
    { subjects, purpose, reveal }: EvidenceAsked,
    people: readonly SubjectId[],
    knownAt: Position,
    reader: Reader,
  ): Promise<void> {
    const included = reveal ? ['opened'] : [];
    const look = { viewed: 'evidence', purpose, knownAt, included } as const;
    const looks = subjects ? people.map((subjectId) => ({ ...look, subjectId })) : [look];
    for (let at = 0; at < looks.length; at += AT_ONCE)
      await Promise.all(
        looks
          .slice(at, at + AT_ONCE)
          .map((one) => this.commands.execute(new RecordLook(one, reader))),
      );
  }

  private async *parts(
    people: readonly SubjectId[],
    asked: EvidenceAsked,
    making: Making,
  ): AsyncGenerator<Part> {
    const epochs = await this.queries.execute(new AskKeyEpochs());
    let open: Piece[] = [];
    let count = 0;
    for (let at = 0; at < people.length; at += AT_ONCE) {
      const some = people.slice(at, at + AT_ONCE);
      const firsts = await Promise.all(
        some.map((id) => this.page(streamOf('subject', id), 0, asked, making)),
      );
      for (const [n, subjectId] of some.entries()) {
        const pages = () => this.pages(subjectId, firsts[n] as Page, asked, making);
        for await (const piece of this.pieces(subjectId, pages, making, epochs)) {
          open.push(piece);
          count += piece.told.length;
          if (count < PART) continue;
          yield await this.part(open, asked, making);
          [open, count] = [[], 0];
        }
      }
    }
    if (open.length > 0) yield await this.part(open, asked, making);
  }

  /**
   * What was asked for of a person, in pieces of at most a page, at least one. The stream is read twice: the
   * first piece already says what became of the keys, and what a consent amounted to depends on what came
   * later. Where it is one page, that page is all there is to read.
   */
  private async *pieces(
    subjectId: SubjectId,
    pages: () => AsyncIterable<Page>,
    { createdAt, end }: Making,
    epochs: ReadonlyMap<number, Instant>,
  ): AsyncGenerator<Piece> {
    let destruction: Pair | undefined;
    async function* known(): AsyncGenerator<Recorded> {
      for await (const page of pages()) {
        destruction ??= page.destruction;
        for (const { event } of page.told) yield event;
      }
    }
    const moment = { asOf: createdAt, knownAt: end };
    const recordsOf = recordsByPiece(await consentsOf(this.queries, subjectId, known(), moment));
    const key = keyStatusOf(subjectId, destruction?.event, epochs);
    const pieceOf = (told: readonly Told[], continued: boolean) => {
      const records = recordsOf(told.map(({ event }) => event));
      return { subjectId, key, told, records, continued };
    };
    let last: readonly Told[] = [];
    let continued = false;
    let isTold = false;
    for await (const { told } of pages()) {
      if (told.length === 0) continue;
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
  private async *pages(
    subjectId: SubjectId,
    first: Page,
    asked: EvidenceAsked,
    making: Making,
  ): AsyncGenerator<Page> {
    let page = first;
    for (let from = 0; ; from += PART) {
      yield page;
      if (page.read < PART) return;
      page = await this.page(streamOf('subject', subjectId), from + PART, asked, making);
    }
  }

  private async page(
    stream: StreamName,
    fromRevision: number,
    { purpose }: EvidenceAsked,
    { end, checkpoint }: Making,
  ): Promise<Page> {
    const options = { fromRevision, limit: PART };
    const [stored, recorded] = await Promise.all([
      this.store.read(stream, options),
      this.ledger.read(stream, options),
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
    const words = await this.queries.execute(new TellEvents(events, end, purpose));
    return {
      read,
      told: known.flatMap((pair, at) => {
        const { says, bears } = words[at] as (typeof words)[number];
        return bears || pair.event.type === 'SubjectRegistered' ? [{ ...pair, says }] : [];
      }),
      destruction: upTo(checkpoint.position).find(({ event }) => event.type === KEY_DESTROYED),
    };
  }

  private async part(
    pieces: readonly Piece[],
    { reveal }: EvidenceAsked,
    { checkpoint, named }: Making,
  ): Promise<Part> {
    const all = pieces.flatMap(({ told }) => told);
    for (const { event } of all) named.add(event);
    const leaves = await this.leaves(
      all.map(({ stored }) => stored),
      checkpoint,
    );
    const opened = reveal ? await this.openedOf(all.map(({ event }) => event)) : undefined;
    const openedById = new Map(opened?.map((line) => [line.eventId, line.data]));
    let at = 0;
    const people = pieces.map(({ subjectId, key, continued, told }) => ({
      subjectId,
      key,
      continued,
      items: told.map(({ event, says }) => {
        const { occurredAt, recordedAt, source, data, id } = event;
        const { notice } = data as { notice?: NoticeShown };
        const { index } = leaves.proofs[at++] as ProofLine;
        return {
          says,
          occurredAt,
          recordedAt,
          source,
          index,
          ...(notice ? { notice } : {}),
          ...(openedById.has(id) ? { opened: openedById.get(id) } : {}),
        };
      }),
    }));
    const erasures = pieces.flatMap(({ erasure }) => erasure ?? []);
    return {
      ...leaves,
      people,
      opened,
      keys: pieces.flatMap(({ ends, key }) => (ends ? [key] : [])),
      erasures: await this.leaves(erasures, checkpoint),
      records: recordsDocument(pieces.flatMap(({ records }) => records)),
    };
  }

  private async leaves(stored: readonly StoredEvent[], checkpoint: Sealed): Promise<Leaves> {
    const indexes = await this.log.indexesOf(stored.map(({ position }) => position));
    const proofs: ProofLine[] = [];
    for (const { position, bytes } of stored) {
      const index = indexes.get(position);
      if (index === undefined) throw new Error(`position ${position} is in no checkpoint`);
      const hashes = await this.log.inclusion(index, bytes, checkpoint);
      proofs.push({ index, hashes: hashes.map(base64) });
    }
    return { events: stored.map(({ bytes }) => bytes), proofs };
  }

  /** The personal fields of events, in the clear or erased; events without any are left out. */
  private async openedOf(events: readonly Recorded[]): Promise<OpenedLine[]> {
    const opened = await this.ledger.open(events);
    return opened.flatMap((event, at) => {
      const personal = personalIn(events[at] as Recorded, event);
      return personal ? [{ eventId: event.id, data: personal }] : [];
    });
  }

  private async catalogueOf(named: Named, checkpoint: Sealed): Promise<Catalogue> {
    const { purposes } = await this.queries.execute(new AskPrivacyCentre(checkpoint.position));
    const streams = [
      streamOf('settings', 'controllers'),
      ...[...named.purposes].flatMap((key) => {
        const purpose = purposes[key];
        return purpose ? [streamOf('purpose', purpose.purposeId)] : [];
      }),
      ...[...named.notices.keys()].map((id) => streamOf('notice', id)),
    ].sort();
    const upTo = checkpoint.position;
    const stored = await this.store.readMany(streams, { upTo });
    const recorded = await this.ledger.readMany(streams, { upTo });
    const notices = new Map<string, string>();
    const shown: StoredEvent[] = [];
    for (const stream of streams)
      for (const [at, event] of (recorded.get(stream) ?? []).entries()) {
        if (event.type === NOTICE_PUBLISHED) {
          const { hash, text } = (event as Recorded<NoticePublished>).data;
          if (!named.hashes.has(hash)) continue;
          notices.set(hash, text);
        }
        shown.push((stored.get(stream) as readonly StoredEvent[])[at] as StoredEvent);
      }
    return { ...(await this.leaves(shown, checkpoint)), notices };
  }
}

const NOTICE_PUBLISHED: NoticePublished['type'] = 'NoticePublished';
const KEY_DESTROYED: KeyDestroyed['type'] = 'KeyDestroyed';

/** What all parts of a bundle are made with. */
interface Making {
  readonly createdAt: Instant;
  /** What was recorded later was not asked for. */
  readonly end: Position;
  readonly checkpoint: Sealed;
  readonly named: Named;
}

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
interface Piece {
  readonly subjectId: SubjectId;
  readonly key: KeyStatus;
  readonly told: readonly Told[];
  readonly records: readonly Node[];
  readonly continued: boolean;
  readonly ends: boolean;
  /** The event that destroyed the keys, where it is not among those that were asked for. */
  readonly erasure?: StoredEvent;
}

/** What the events of people name in the catalogue; there is little of it, however many people there are. */
class Named {
  readonly purposes = new Set<string>();
  readonly notices = new Map<string, NoticeShown>();
  readonly hashes = new Set<string>();

  add({ data }: Recorded): void {
    const { purpose, notice } = data as { purpose?: string; notice?: NoticeShown };
    if (purpose !== undefined) this.purposes.add(purpose);
    if (!notice) return;
    this.notices.set(notice.id, notice);
    if (notice.hash !== undefined) this.hashes.add(notice.hash);
  }
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

/** The fields that are sealed in the log, as they read now; undefined where there are none. */
function personalIn(stored: Recorded, opened: Opened): OpenedLine['data'] | undefined {
  const fields = Object.entries(stored.data).filter(
    ([, value]) => typeof value === 'object' && value !== null && 'sealed' in value,
  );
  if (fields.length === 0) return undefined;
  const clear = opened.data as Readonly<Record<string, unknown>>;
  return Object.fromEntries(fields.map(([field]) => [field, clear[field]]));
}

function earlierIn(note: string): Checkpoint {
  const parsed = parseNote(note);
  const checkpoint = parsed && parseCheckpoint(parsed.text);
  if (checkpoint) return checkpoint;
  throw invalid({
    pointer: '/since',
    code: 'malformed-checkpoint',
    detail: 'must be a checkpoint as it was signed (c2sp.org/tlog-checkpoint)',
  });
}
