import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { Folding } from '#core/kernel/model.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { personFacts } from '../domain/facts.js';
import { standings } from '../domain/standing.js';
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
    const folding = new Folding(personFacts);
    for await (const event of stream) folding.add(event);
    const facts = folding.state;
    return Object.values(purposes).flatMap((rules) => {
      if (!facts.purposes[rules.key]) return [];
      const states: ConsentState[] = [];
      for (const { from, bases } of standings(facts, rules)) {
        if (from > asOf) break;
        const state = bases.find(({ basis }) => basis === 'consent') as ConsentState | undefined;
        if (state && !isRepetition(state, states.at(-1))) states.push(state);
      }
      return states.length === 0 ? [] : [{ purpose: rules.key, states }];
    });
  }
}

/** The standing changed in something else than the consent. */
function isRepetition(state: ConsentState, before: ConsentState | undefined): boolean {
  return before !== undefined && JSON.stringify(state) === JSON.stringify(before);
}
