import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { fold } from '#core/kernel/model.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { personFacts } from '../domain/facts.js';
import { standingOf } from '../domain/standing.js';
import {
  AskConsentHistory,
  type ConsentHistory,
  type ConsentState,
} from './consent-history.message.js';

@QueryHandler(AskConsentHistory)
export class AnswerConsentHistory implements IQueryHandler<AskConsentHistory> {
  constructor(private readonly queries: QueryBus) {}

  async execute({ stream, asOf, knownAt }: AskConsentHistory): Promise<ConsentHistory> {
    const { purposes } = await this.queries.execute(new AskPrivacyCentre(knownAt));
    const facts = fold(personFacts, stream);
    return Object.values(purposes).flatMap((rules) => {
      if (!facts.purposes[rules.key]) return [];
      const states = standingOf(facts, rules)
        .filter(({ from }) => from <= asOf)
        .flatMap(
          ({ bases }) => (bases.find(({ basis }) => basis === 'consent') as ConsentState) ?? [],
        )
        .filter((state, at, all) => !isRepetition(state, all[at - 1]));
      return states.length === 0 ? [] : [{ purpose: rules.key, states }];
    });
  }
}

/** The standing changed in something else than the consent. */
function isRepetition(state: ConsentState, before: ConsentState | undefined): boolean {
  return before !== undefined && JSON.stringify(state) === JSON.stringify(before);
}
