import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { Actor, Recorded } from '#core/kernel/event.js';
import { streamOf } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import type {
  PurposeDefined,
  PurposeDefinition,
  PurposeEvent,
  PurposeRevised,
} from '../domain/purposes.events.js';
import { AskPrivacyCentre } from './privacy-centre.message.js';

/** One entry in a purpose's history: when it changed, who changed it, and to what. */
export interface PurposeRevision {
  readonly revision: number;
  readonly position: Position;
  readonly change: 'defined' | 'revised' | 'retired';
  readonly recordedAt: Instant;
  readonly actor: Actor;
  /** What a consent given from here on refers to. */
  readonly definition?: PurposeDefinition;
  /** The end that was set. */
  readonly retiredAt?: Instant;
}

/** Every revision of a purpose, the oldest first; refused with `unknown-purpose` where there is none. */
export class AskPurposeHistory extends Query<readonly PurposeRevision[]> {
  constructor(readonly key: string) {
    super();
  }
}

@QueryHandler(AskPurposeHistory)
export class AnswerPurposeHistory implements IQueryHandler<AskPurposeHistory> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
  ) {}

  async execute({ key }: AskPurposeHistory): Promise<readonly PurposeRevision[]> {
    const { purposes } = await this.queries.execute(new AskPrivacyCentre());
    const purpose = purposes[key];
    if (!purpose) throw new Refused('not-found', 'unknown-purpose', 'there is no such purpose');
    const events = await this.ledger.read(streamOf('purpose', purpose.purposeId));
    return (events as Recorded<PurposeEvent>[]).flatMap(revisionOf);
  }
}

function revisionOf(event: Recorded<PurposeEvent>): PurposeRevision[] {
  const { revision, position, recordedAt, actor } = event;
  const entry = { revision, position, recordedAt, actor };
  switch (event.type) {
    case 'PurposeDefined':
      return [{ ...entry, change: 'defined', definition: definitionIn(event) }];
    case 'PurposeRevised':
      return [{ ...entry, change: 'revised', definition: definitionIn(event) }];
    case 'PurposeRetired':
      return [{ ...entry, change: 'retired', retiredAt: event.occurredAt }];
    // Of other streams.
    case 'NoticePublished':
    case 'TopicDefined':
    case 'TopicRetired':
    case 'SettingsChanged':
      return [];
  }
}

function definitionIn({ data }: Recorded<PurposeDefined | PurposeRevised>): PurposeDefinition {
  const { purposeId: _, ...definition } = data;
  return definition;
}
