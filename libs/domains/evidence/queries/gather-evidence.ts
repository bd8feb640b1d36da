import { Inject } from '@nestjs/common';
import { CommandBus, type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { comparePositions, earlierOf, type Position, START } from '#core/kernel/position.js';
import { invalid, Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { type Checkpoint, parseCheckpoint } from '#core/proof/checkpoint.js';
import { base64 } from '#core/proof/encoding.js';
import { parseNote } from '#core/proof/note.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';
import { type Reader, RecordLook } from '#domains/access/commands/record-look.message.js';
import { requirePurpose } from '#domains/purposes/domain/purposes.vocabulary.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import type { Evidence, Scope } from './evidence.js';
import { STORED_STREAMS, type StoredStreams } from './evidence.tokens.js';
import { Parts } from './parts.js';
import type { Sealed } from './pieces.js';

export interface EvidenceAsked {
  readonly subjects?: readonly SubjectId[];
  readonly purpose?: string;
  readonly period?: { readonly from?: Instant; readonly to?: Instant };
  /** Whether personal fields are opened. */
  readonly reveal: boolean;
  /** An earlier checkpoint, as it was signed: that the log was only added to since is proved. */
  readonly since?: string;
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
/** People who are looked up at once. */
const AT_ONCE = 50;
const PAGE = 500;
/** How long events that are not sealed yet are waited for, in milliseconds. */
const PATIENCE = 15_000;

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
    const createdAt = this.clock.now();
    const { ledger, log, store, queries } = this;
    const making = { purpose, reveal, createdAt, end, checkpoint };
    const parts = new Parts({ ledger, log, store, queries }, making);
    const scope: Scope = { subjects: asked.subjects && people, purpose, period };
    return {
      scope,
      opened: reveal,
      createdAt,
      log: await log.identity(),
      checkpoint,
      earlier,
      parts: () => parts.of(people),
      catalogue: () => parts.catalogue(),
    };
  }

  private async mustBeKnown(purpose: string | undefined): Promise<void> {
    if (purpose === undefined) return;
    requirePurpose(await this.queries.execute(new AskPrivacyCentre()), purpose, '/purpose');
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
