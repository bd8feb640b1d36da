import { Inject } from '@nestjs/common';
import { CommandBus, type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { Actor, Opened } from '#core/kernel/event.js';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
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
import { RecordLook } from '#domains/access/commands/record-look.message.js';
import {
  AskPersonStanding,
  type PersonStanding,
} from '#domains/consents/queries/person-standing.message.js';
import type { SubjectEvent } from '../domain/subjects.events.js';
import { subjectEvents } from '../domain/subjects.events.js';
import { identityView, type IdentityView } from './identity.js';

export interface SubjectView {
  readonly subjectId: SubjectId;
  readonly asOf: Instant;
  /** A time or `position:N`: asked with it, the question gets the same answer again. */
  readonly knownAt: string;
  readonly position: Position;
  /** The stream's, now: what a command is conditional on. */
  readonly revision: number;
  readonly erasedAt?: Instant;
  readonly identity?: IdentityView;
  readonly purposes: PersonStanding['purposes'];
  readonly topics: Readonly<Record<string, Readonly<Record<string, 'on' | 'off'>>>>;
  readonly objectsToMarketing: boolean;
}

/** One person, now or as of any day, folded from their stream. To reveal is to look: recorded first. */
export class ViewSubject extends Query<SubjectView> {
  constructor(
    readonly subjectId: SubjectId,
    readonly asked: {
      readonly asOf?: Instant;
      readonly knownAt?: KnownAt;
      readonly reveal: boolean;
    },
    readonly reader: {
      readonly actor: Actor;
      readonly correlationId: string;
      /** Whether they may see what held before an erasure. */
      readonly behindErasure: boolean;
    },
  ) {
    super();
  }
}

@QueryHandler(ViewSubject)
export class ViewSubjectHandler implements IQueryHandler<ViewSubject> {
  constructor(
    private readonly ledger: Ledger,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ subjectId, asked, reader }: ViewSubject): Promise<SubjectView> {
    const asOf = asked.asOf ?? this.clock.now();
    // Before the stream: up to here nothing can be missing from it.
    const upTo = await this.upTo(asked.knownAt);
    const knownAt = asked.knownAt && upTo;
    const all = await this.ledger.read(streamOf('subject', subjectId));
    const last = all.at(-1);
    if (!last) throw new Refused('not-found', 'unknown-subject', 'there is no such person');
    if (asked.reveal)
      await this.commands.execute(
        new RecordLook(
          { viewed: 'subject', subjectId, asOf, knownAt },
          { actor: reader.actor, correlationId: reader.correlationId },
        ),
      );

    // What came in between is in the page, as it is in the revision.
    const position = knownAt ?? laterOf(upTo, last.position);
    const [standing, opened] = await Promise.all([
      this.queries.execute(new AskPersonStanding(subjectId, asOf, position, reader.behindErasure)),
      this.ledger.open(
        all.filter(
          (event) =>
            event.type in subjectEvents &&
            event.occurredAt <= asOf &&
            comparePositions(event.position, position) <= 0,
        ),
      ),
    ]);
    return {
      subjectId,
      asOf,
      knownAt: knownAtOf(asked.knownAt, position),
      position,
      revision: last.revision,
      erasedAt: standing.erasedAt,
      identity: identityView(opened as Opened<SubjectEvent>[], asked.reveal),
      purposes: standing.purposes,
      topics: standing.person?.topics ?? {},
      objectsToMarketing: standing.person?.objectsToMarketing ?? false,
    };
  }

  /** Never beyond the head: what the ledger will learn is not known now. */
  private async upTo(knownAt: KnownAt | undefined): Promise<Position> {
    const head = (await this.ledger.head())?.position ?? START;
    const known = await resolveKnownAt(this.ledger, knownAt);
    return known === undefined ? head : earlierOf(known, head);
  }
}
