import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import type { Opened, Recorded } from '#core/kernel/event.js';
import { streamOf } from '#core/kernel/ids.js';
import { Ledger } from '#core/ledger/ledger.js';
import type { SubjectEvent } from '../domain/subjects.events.js';
import { identityView } from './identity.js';
import { AskReachability, type Reachability } from './reachability.message.js';

const IDENTITY = new Set(['SubjectRegistered', 'ContactPointAdded', 'ContactPointRemoved']);

@QueryHandler(AskReachability)
export class AnswerReachability implements IQueryHandler<AskReachability> {
  constructor(private readonly ledger: Ledger) {}

  async execute({ subjectIds }: AskReachability): Promise<readonly Reachability[]> {
    const names = subjectIds.map((id) => streamOf('subject', id));
    const streams = await this.ledger.readMany(names);
    const identities = names.map((name) =>
      (streams.get(name) ?? []).filter(({ type }) => IDENTITY.has(type)),
    );
    const opened = await this.ledger.open(identities.flat() as Recorded[]);
    let next = 0;
    return identities.map((events) => {
      const own = opened.slice(next, (next += events.length)) as Opened<SubjectEvent>[];
      const { externalRefs = [], contactPoints = [] } = identityView(own, true) ?? {};
      return {
        externalRefs,
        contactPoints: contactPoints.flatMap(({ kind, value }) =>
          value === undefined ? [] : [{ kind, value }],
        ),
      };
    });
  }
}
