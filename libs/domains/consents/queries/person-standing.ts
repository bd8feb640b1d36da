import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import { streamOf } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import { comparePositions } from '#core/kernel/position.js';
import { Ledger } from '#core/ledger/ledger.js';
import type { KeyDestroyed } from '#domains/erasure/domain/erasure.events.js';
import {
  AskPrivacyCentre,
  type PrivacyCentre,
} from '#domains/purposes/queries/privacy-centre.message.js';
import { answer, erasedSubject } from '../domain/answer.js';
import { personFacts } from '../domain/facts.js';
import { personAt, personSpans } from '../domain/person.js';
import { standingAt, standingOf } from '../domain/standing.js';
import { AskPersonStanding, type PersonStanding } from './person-standing.message.js';

const KEY_DESTROYED: KeyDestroyed['type'] = 'KeyDestroyed';

@QueryHandler(AskPersonStanding)
export class AnswerPersonStanding implements IQueryHandler<AskPersonStanding> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
  ) {}

  async execute({
    subjectId,
    asOf,
    knownAt,
    behindErasure,
  }: AskPersonStanding): Promise<PersonStanding> {
    const [all, centre] = await Promise.all([
      this.ledger.read(streamOf('subject', subjectId)),
      this.queries.execute(new AskPrivacyCentre(knownAt)),
    ]);
    const known = knownAt
      ? all.filter(({ position }) => comparePositions(position, knownAt) <= 0)
      : all;
    const hidden = !behindErasure && all.some(({ type }) => type === KEY_DESTROYED);
    return personStanding(known, centre, asOf, hidden);
  }
}

/** The fold of what was known of a person, under the catalogue known then. */
export function personStanding(
  known: readonly Recorded[],
  { purposes }: PrivacyCentre,
  asOf: Instant,
  hideBehindErasure = false,
): PersonStanding {
  const facts = fold(personFacts, known);
  const person = personAt(personSpans(facts), asOf);
  const hidden = person && hideBehindErasure;
  return {
    person: hidden ? undefined : person,
    erasedAt: facts.erased?.at,
    purposes: Object.values(purposes).map((rules) => {
      if (hidden) return { purpose: rules.key, ...erasedSubject, bases: [] };
      const standing = facts.purposes[rules.key] && standingAt(standingOf(facts, rules), asOf);
      const answered = answer(person, standing, { rules, asOf });
      return { purpose: rules.key, ...answered, bases: standing?.bases ?? [] };
    }),
  };
}
