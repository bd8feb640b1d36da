import { Inject } from '@nestjs/common';
import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, type StreamName, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { knownAtOf } from '#core/kernel/moment.js';
import { comparePositions, earlierOf, type Position, START } from '#core/kernel/position.js';
import { resolveKnownAt } from '#core/ledger/known-at.js';
import { Ledger } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { personStanding } from './person-standing.js';
import { type Replay, type ReplayedPerson, ReplayPeople } from './replay-people.message.js';

/** Events a page of the log, and people a page of streams, at most. */
const [EVENTS, PEOPLE] = [2_000, 200];

@QueryHandler(ReplayPeople)
export class ReplayPeopleHandler implements IQueryHandler<ReplayPeople> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ asked }: ReplayPeople): Promise<Replay> {
    const head = (await this.ledger.head())?.position ?? START;
    const known = await resolveKnownAt(this.ledger, asked.knownAt);
    const position = known === undefined ? head : earlierOf(known, head);
    const centre = await this.queries.execute(new AskPrivacyCentre(position));
    const asOf = asked.asOf ?? this.clock.now();
    const folded = (events: readonly Recorded[]): ReplayedPerson[] => {
      const last = events.at(-1);
      if (!last) return [];
      const subjectId = ownerOf(last.stream) as SubjectId;
      return [{ subjectId, revision: last.revision, ...personStanding(events, centre, asOf) }];
    };
    const streams = asked.subjectId
      ? [[streamOf('subject', asked.subjectId)]]
      : this.streams(position);
    const { ledger } = this;
    return {
      asOf,
      knownAt: knownAtOf(asked.knownAt, position),
      position,
      async *pages() {
        for await (const page of streams) {
          const histories = await ledger.readMany(page, { upTo: position });
          yield [...histories.values()].flatMap(folded);
        }
      },
    };
  }

  /** Everybody's stream, in the order in which they begin. */
  private async *streams(upTo: Position): AsyncGenerator<readonly StreamName[]> {
    let begun: StreamName[] = [];
    for (let after = START; comparePositions(after, upTo) < 0;) {
      const page = await this.ledger.readAll(after, { limit: EVENTS, categories: ['subject'] });
      for (const { stream, revision, position } of page.events) {
        if (revision > 0 || comparePositions(position, upTo) > 0) continue;
        begun.push(stream);
        if (begun.length < PEOPLE) continue;
        yield begun;
        begun = [];
      }
      if (page.events.length < EVENTS) break;
      after = page.scannedTo;
    }
    if (begun.length > 0) yield begun;
  }
}
