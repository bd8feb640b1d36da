import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { type StreamName, streamOf } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { laterOf, type Position } from '#core/kernel/position.js';
import { invalid } from '#core/kernel/refused.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { DIGEST, type Digest } from '#core/platform/http/idempotency.js';
import { CLOCK } from '#core/platform/tokens.js';
import { applyPurpose, applyTopic, changeSettings, publishNotice } from '../domain/catalogue.js';
import {
  addTallies,
  catalogueViolations,
  NO_ENTRIES,
  noticesOf,
  type NoticeOfFile,
  type Tally,
  tallyByKey,
} from '../domain/catalogue-plan.js';
import type { CatalogueFile } from '../domain/purposes.vocabulary.js';
import { privacyCentre, type PrivacyCentre } from '../domain/privacy-centre.js';
import type {
  PurposeDefinition,
  PurposeEvent,
  TopicDefinition,
} from '../domain/purposes.events.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import {
  hashOf,
  latestFor,
  noticeIdOf,
  purposeIdOf,
  SETTINGS,
  SOURCE,
  topicIdOf,
} from './catalogue-streams.js';

export interface AppliedCatalogue {
  readonly controllers: Tally;
  readonly sources: Tally;
  readonly purposes: Tally;
  readonly notices: Tally;
  readonly topics: Tally;
  readonly defaults: Tally;
  /** The last change, of this call or of one before it. */
  readonly position: Position;
}

/**
 * Brings the catalogue to what a file says. Everything is checked before anything is written; what is on
 * record already is left alone, so that a file can be applied again, also after a crash half-way through.
 * What the file does not name stays as it is.
 */
export class ApplyCatalogue extends Command<AppliedCatalogue> {
  constructor(
    readonly file: CatalogueFile,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(ApplyCatalogue)
export class ApplyCatalogueHandler implements ICommandHandler<ApplyCatalogue> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ file, requested }: ApplyCatalogue): Promise<AppliedCatalogue> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const now = this.clock.now();
    const [first, ...more] = catalogueViolations(file, centre, { now, latest: latestFor(now) });
    if (first) throw invalid(first, ...more);

    const writing = new Writing(this.ledger, this.digest, this.clock, requested, centre);
    // What others refer to comes first: whoever reads in between finds nothing that points nowhere.
    const controllers = await writing.controllers(file.controllers);
    const sources = await writing.sources(file.sources);
    const purposes = await inOrder(file.purposes, (purpose) => writing.purpose(purpose));
    const notices = await inOrder(noticesOf(file), (notice) => writing.notice(notice));
    const topics = await inOrder(file.topics, (topic) => writing.topic(topic));
    const defaults = await writing.defaults(file.defaults);
    const { position } = writing;
    return { controllers, sources, purposes, notices, topics, defaults, position };
  }
}

/** One application of a file: each stream is written to once, under the one receipt. */
class Writing {
  position: Position;

  constructor(
    private readonly ledger: Ledger,
    private readonly digest: Digest,
    private readonly clock: Clock,
    private readonly requested: Requested,
    private readonly before: PrivacyCentre,
  ) {
    this.position = before.position;
  }

  async controllers(controllers: CatalogueFile['controllers']): Promise<Tally> {
    if (controllers.length === 0) return NO_ENTRIES;
    await this.transact(SETTINGS.controllers, [changeSettings({ controllers })]);
    return tallyByKey(controllers, this.before.controllers, ({ key }) => key);
  }

  async sources(sources: CatalogueFile['sources']): Promise<Tally> {
    if (sources.length === 0) return NO_ENTRIES;
    await this.transact(SETTINGS.sources, [changeSettings({ sources })]);
    return tallyByKey(sources, this.before.sources, (source) => source);
  }

  async defaults(defaults: CatalogueFile['defaults']): Promise<Tally> {
    if (!defaults) return NO_ENTRIES;
    const { bases } = defaults;
    await this.transact(SETTINGS.defaults, [changeSettings({ defaultBases: bases })]);
    const keyOf = (basis: (typeof bases)[number]) => `${basis.purpose} ${basis.basis}`;
    return tallyByKey(bases, this.before.defaultBases, keyOf);
  }

  async purpose(definition: PurposeDefinition): Promise<Tally> {
    const purposeId = purposeIdOf(this.digest, definition.key);
    const decide = applyPurpose(purposeId, definition);
    return tallyOf(await this.transact(streamOf('purpose', purposeId), [decide]));
  }

  async topic(definition: TopicDefinition): Promise<Tally> {
    const topicId = topicIdOf(this.digest, definition.key);
    const decide = applyTopic(topicId, definition);
    return tallyOf(await this.transact(streamOf('topic', topicId), [decide]));
  }

  async notice({ purpose, kind, words }: NoticeOfFile): Promise<Tally> {
    const noticeId = noticeIdOf(this.digest, purpose, kind);
    const now = this.clock.now();
    const outcome = await this.transact(
      streamOf('notice', noticeId),
      words.map((one) => publishNotice({ ...one, noticeId, hash: hashOf(one.text) }, now)),
    );
    const defined = outcome.events.length;
    return { defined, revised: 0, unchanged: words.length - defined };
  }

  private async transact(
    stream: StreamName,
    decisions: readonly Decision<PrivacyCentre, PurposeEvent>[],
  ): Promise<Outcome> {
    const { bulk } = this.requested;
    const outcome = await this.ledger.transact(
      stream,
      occasionOf(this.requested, { source: SOURCE }, this.clock),
      decisions.map((decide) => step(privacyCentre, decide)),
      { bulk },
    );
    this.position = laterOf(this.position, outcome.position);
    return outcome;
  }
}

function tallyOf({ events: [event] }: Outcome): Tally {
  if (!event) return { ...NO_ENTRIES, unchanged: 1 };
  return event.revision === 0 ? { ...NO_ENTRIES, defined: 1 } : { ...NO_ENTRIES, revised: 1 };
}

async function inOrder<Entry>(
  entries: readonly Entry[],
  apply: (entry: Entry) => Promise<Tally>,
): Promise<Tally> {
  let tally = NO_ENTRIES;
  for (const entry of entries) tally = addTallies(tally, await apply(entry));
  return tally;
}
