import { Inject } from '@nestjs/common';
import { CommandBus, type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import type { Recorded } from '#core/kernel/event.js';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import {
  comparePositions,
  earlierOf,
  laterOf,
  type Position,
  START,
} from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { resolveKnownAt } from '#core/ledger/known-at.js';
import { Ledger } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { type Reader, RecordLook } from '#domains/access/commands/record-look.message.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { itemOf, type PurposeScope, selected, type TimelineItem } from '../domain/timeline.js';
import type { Language } from '../domain/words.js';
import { EVENT_CATALOGUE } from './audit.tokens.js';

export type { PurposeScope, TimelineItem };
export { type Language, LANGUAGES } from '../domain/words.js';

export interface TimelineQuestion {
  readonly asOf?: Instant;
  readonly knownAt?: KnownAt;
  readonly purpose?: PurposeScope;
  /** What lies after it (exclusive); absent: from the first event on. */
  readonly after?: Position;
  readonly limit: number;
  readonly language: Language;
  readonly reveal: boolean;
}

/** A part of a person's stream in words and data, in the order in which the ledger learned it. */
export interface Timeline {
  readonly items: readonly TimelineItem[];
  /** Whether there are more after the last item. */
  readonly more: boolean;
  readonly asOf: Instant;
  /** Where the part of the log ends that this was computed from. */
  readonly position: Position;
  /** The stream's, now: what a command is conditional on. */
  readonly revision: number;
}

/**
 * Everything on record about a person, folded from their stream and so never behind. To reveal is to look:
 * recorded first.
 */
export class ShowTimeline extends Query<Timeline> {
  constructor(
    readonly subjectId: SubjectId,
    readonly question: TimelineQuestion,
    readonly reader: Reader,
  ) {
    super();
  }
}

@QueryHandler(ShowTimeline)
export class ShowTimelineHandler implements IQueryHandler<ShowTimeline> {
  constructor(
    private readonly ledger: Ledger,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(EVENT_CATALOGUE) private readonly catalogue: EventCatalogue,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, question, reader }: ShowTimeline): Promise<Timeline> {
    const { asOf, purpose, limit, language, reveal } = question;
    const after = question.after && (await this.ledger.locate(question.after));
    // Before the stream: up to here nothing can be missing from it.
    const upTo = await this.upTo(question.knownAt);
    const stream = await this.ledger.read(streamOf('subject', subjectId));
    const last = stream.at(-1);
    if (!last) throw new Refused('not-found', 'unknown-subject', 'there is no such person');

    // What came in between is in the page, as it is in the revision.
    const position = question.knownAt ? upTo : laterOf(upTo, last.position);
    const found = selected(stream, { asOf, knownAt: position, purpose });
    const rest = after
      ? found.filter((event) => comparePositions(event.position, after) > 0)
      : found;
    const page = rest.slice(0, limit);
    const knownAt = question.knownAt && position;
    const { purposes, topics } = await this.queries.execute(new AskPrivacyCentre(knownAt));
    if (reveal) {
      const look = { viewed: 'timeline', subjectId, purpose: purpose?.key, asOf, knownAt } as const;
      await this.commands.execute(new RecordLook(look, reader));
    }
    // Also for a reader who may not look: that a field is erased is known to nobody but the vault.
    const opened = await this.ledger.open(page);
    const telling = { catalogue: this.catalogue, names: { purposes, topics }, language, reveal };
    return {
      items: opened.map((event) => itemOf(event, telling)),
      more: rest.length > page.length,
      asOf: asOf ?? latestOf(this.clock.now(), page),
      position,
      revision: last.revision,
    };
  }

  /** Never beyond the head: what the ledger will learn is not known now. */
  private async upTo(knownAt: KnownAt | undefined): Promise<Position> {
    const head = (await this.ledger.head())?.position ?? START;
    const known = await resolveKnownAt(this.ledger, knownAt);
    return known === undefined ? head : earlierOf(known, head);
  }
}

/** Without a day to look at everything is shown, also what a clock ahead of ours has dated later. */
function latestOf(now: Instant, events: readonly Recorded[]): Instant {
  return events.reduce(
    (latest, { occurredAt }) => (occurredAt > latest ? occurredAt : latest),
    now,
  );
}
