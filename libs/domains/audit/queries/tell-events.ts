import { Inject } from '@nestjs/common';
import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import type { Recorded } from '#core/kernel/event.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { bearsOn, type PurposeScope } from '../domain/timeline.js';
import { type Names, sentenceOf } from '../domain/wording.js';
import { EVENT_CATALOGUE } from './audit.tokens.js';
import { TellEvents, type ToldEvent } from './tell-events.message.js';

@QueryHandler(TellEvents)
export class TellEventsHandler implements IQueryHandler<TellEvents> {
  constructor(
    private readonly queries: QueryBus,
    @Inject(EVENT_CATALOGUE) private readonly catalogue: EventCatalogue,
  ) {}

  async execute({ events, knownAt, purpose: key }: TellEvents): Promise<readonly ToldEvent[]> {
    const { purposes, topics } = await this.queries.execute(new AskPrivacyCentre(knownAt));
    const marketing = key === undefined ? false : (purposes[key]?.marketing ?? false);
    const own = Object.values(topics).filter(({ purpose }) => purpose === key);
    const scope: PurposeScope | undefined =
      key === undefined ? undefined : { key, marketing, topics: own.map((topic) => topic.key) };
    return events.map((event) => ({
      says: this.wordsOf(event, { purposes, topics }),
      bears: scope === undefined || bearsOn(scope, event),
    }));
  }

  private wordsOf({ type, data }: Recorded, names: Names): ToldEvent['says'] {
    const specification = this.catalogue.get(type);
    if (!specification) throw new Error(`event type ${type} is in no catalogue`);
    const fields = data as Readonly<Record<string, unknown>>;
    return {
      en: sentenceOf(specification, fields, names, 'en'),
      de: sentenceOf(specification, fields, names, 'de'),
    };
  }
}
