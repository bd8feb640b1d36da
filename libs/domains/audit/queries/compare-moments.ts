import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import type { Recorded } from '#core/kernel/event.js';
import { type EventId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock, Instant } from '#core/kernel/instant.js';
import { type KnownAt, knownAtOf } from '#core/kernel/moment.js';
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
import {
  AskPersonStanding,
  type PersonStanding,
} from '#domains/consents/queries/person-standing.message.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import {
  causeOf,
  type Difference,
  differencesOf,
  type Moment,
  type StandingThen,
} from '../domain/comparison.js';
import type { Names } from '../domain/wording.js';
import { sentenceOf } from '../domain/wording.js';
import type { Language } from '../domain/words.js';
import { EVENT_CATALOGUE } from './audit.tokens.js';

/** One of the two moments, as it was asked about. Absent: now, and as far as the ledger has come. */
export interface AskedMoment {
  readonly asOf?: Instant;
  readonly knownAt?: KnownAt;
}

export interface ComparedMoment {
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  readonly position: Position;
}

export interface EventInWords {
  readonly id: EventId;
  readonly type: string;
  readonly position: Position;
  readonly occurredAt: Instant;
  readonly recordedAt: Instant;
  readonly text: string;
}

export type Change = Difference & {
  /** The events that made the difference, in the order in which the ledger learned them. */
  readonly events: readonly EventInWords[];
  /** Time alone made the difference; the events are those that carry the term. */
  readonly byTime: boolean;
};

export interface Comparison {
  readonly from: ComparedMoment;
  readonly to: ComparedMoment;
  readonly changes: readonly Change[];
  /** The stream's, now. */
  readonly revision: number;
}

/** How a person stood at two moments, and by which events it changed. Folded from the log, so never behind. */
export class CompareMoments extends Query<Comparison> {
  constructor(
    readonly subjectId: SubjectId,
    readonly from: AskedMoment,
    readonly to: AskedMoment,
    readonly language: Language,
    /** Whether the caller may see what held before an erasure. */
    readonly behindErasure: boolean,
  ) {
    super();
  }
}

@QueryHandler(CompareMoments)
export class CompareMomentsHandler implements IQueryHandler<CompareMoments> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(EVENT_CATALOGUE) private readonly catalogue: EventCatalogue,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({
    subjectId,
    language,
    behindErasure,
    ...asked
  }: CompareMoments): Promise<Comparison> {
    const now = this.clock.now();
    // Before the stream: up to here nothing can be missing from it.
    const head = (await this.ledger.head())?.position ?? START;
    const stream = await this.ledger.read(streamOf('subject', subjectId));
    const last = stream.at(-1);
    if (!last) throw new Refused('not-found', 'unknown-subject', 'there is no such person');
    // What came in between is in the stream, as it is in the revision.
    const end = laterOf(head, last.position);
    const momentOf = async ({ asOf = now, knownAt }: AskedMoment): Promise<Moment> => {
      const known = await resolveKnownAt(this.ledger, knownAt);
      return { asOf, position: known === undefined ? end : earlierOf(known, end) };
    };
    const [from, to] = await Promise.all([momentOf(asked.from), momentOf(asked.to)]);
    const standingAt = async ({ asOf, position }: Moment) =>
      standingThen(
        await this.queries.execute(new AskPersonStanding(subjectId, asOf, position, behindErasure)),
        asOf,
      );
    const differences = differencesOf(await standingAt(from), await standingAt(to));
    const { purposes, topics } = await this.queries.execute(
      new AskPrivacyCentre(laterOf(from.position, to.position)),
    );
    const changes = differences.map(async (difference): Promise<Change> => {
      const rules =
        difference.what === 'purpose' ? purposes[difference.purpose]?.purposeId : undefined;
      const events = rules
        ? inOrder([...stream, ...(await this.ledger.read(streamOf('purpose', rules)))])
        : stream;
      const isMarketing = (key: string) => purposes[key]?.marketing ?? false;
      const cause = causeOf(difference, events, [from, to], isMarketing);
      return {
        ...difference,
        events: cause.events.map((event) => this.inWords(event, { purposes, topics }, language)),
        byTime: cause.byTime,
      };
    });
    return {
      from: { ...from, knownAt: knownAtOf(asked.from.knownAt, from.position) },
      to: { ...to, knownAt: knownAtOf(asked.to.knownAt, to.position) },
      changes: await Promise.all(changes),
      revision: last.revision,
    };
  }

  private inWords(event: Recorded, names: Names, language: Language): EventInWords {
    const { id, type, position, occurredAt, recordedAt } = event;
    const specification = this.catalogue.get(type);
    if (!specification) throw new Error(`event type ${type} is in no catalogue`);
    const data = event.data as Readonly<Record<string, unknown>>;
    const text = sentenceOf(specification, data, names, language);
    return { id, type, position, occurredAt, recordedAt, text };
  }
}

function standingThen({ person, erasedAt, purposes }: PersonStanding, asOf: Instant): StandingThen {
  return {
    registered: person !== undefined,
    erased: erasedAt !== undefined && erasedAt <= asOf,
    objectsToMarketing: person?.objectsToMarketing ?? false,
    restricted: person?.restricted ?? [],
    contactKinds: Object.keys(person?.reachable ?? {}),
    topics: person?.topics ?? {},
    purposes,
  };
}

function inOrder(events: readonly Recorded[]): Recorded[] {
  return [...events].sort((a, b) => comparePositions(a.position, b.position));
}
