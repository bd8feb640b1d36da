import { ArrayUnique, IsBoolean, IsIn, IsInt, IsOptional, Max, Min } from 'class-validator';
import type { Instant, Period } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import { PageQuery } from '#core/platform/http/cursor.js';
import { Described } from '#core/platform/http/operation.js';
import { Nested, NestedList, Rule } from '#core/platform/http/shapes.js';
import {
  IsCode,
  IsInstant,
  IsKnownAt,
  IsLanguage,
  IsList,
  IsPeriod,
  IsPlainText,
  MaxJsonBytes,
} from '#core/platform/http/validators.js';
import {
  type Channel,
  CHANNELS,
  type Controller,
  type DefaultBasis,
  type LegalBasis,
  LEGAL_BASES,
  type NoticeKind,
  NOTICE_KINDS,
  type PurposeDefinition,
  type TopicDefinition,
} from '../domain/purposes.events.js';
import type { CatalogueFile, NoticeWords } from '../domain/purposes.vocabulary.js';
import { canonicalTexts, IsTexts, textsByLanguage } from './texts.js';

/** What the calls on the catalogue take. The catalogue file is made of the same shapes. */

export class ControllerBody {
  @Described('What purposes name it by.', 'nordwind')
  @IsCode()
  key!: string;

  @Described('The name of the organisation (Art. 4(7)).')
  @IsPlainText(200)
  name!: string;

  @Described('Where it can be reached in matters of data protection.')
  @IsOptional()
  @IsPlainText(200)
  contact?: string;
}

export class SourceBody {
  @Described('Where data may be said to come from.', 'trade-fair')
  @IsCode()
  key!: string;
}

@Rule(textsByLanguage({ atLeastOne: true }))
class PurposeRules {
  @Described('The purpose in words, by BCP 47 language tag.', { en: 'Newsletter' })
  @IsTexts()
  texts!: Record<string, string>;

  @Described('Keys of the controllers.')
  @IsList(1, 50)
  @IsCode({ each: true })
  @ArrayUnique()
  controllers!: string[];

  @Described('Direct marketing: an objection to it is absolute (Art. 21(3)).')
  @IsBoolean()
  marketing!: boolean;

  @Described('What it may rest on (Art. 6(1)).')
  @IsList(1, LEGAL_BASES.length)
  @IsIn(LEGAL_BASES, { each: true })
  @ArrayUnique()
  allowedBases!: LegalBasis[];

  @Described('The channels that consent covers; for marketing only.')
  @IsOptional()
  @IsList(0, CHANNELS.length)
  @IsIn(CHANNELS, { each: true })
  @ArrayUnique()
  channels: Channel[] = [];

  @Described('What a grant must show in order to count.')
  @IsOptional()
  @IsIn(['none', 'notice'])
  minimumEvidence: 'none' | 'notice' = 'none';

  @Described('A grant counts once it is confirmed.')
  @IsOptional()
  @IsBoolean()
  doubleOptIn: boolean = false;

  @Described('Special categories of data: consent must be explicit (Art. 9(2)(a)).')
  @IsOptional()
  @IsBoolean()
  explicitConsent: boolean = false;

  @Described('How long a consent lasts.', 'P24M')
  @IsOptional()
  @IsPeriod()
  expiresAfter?: Period;

  @Described('How long data is kept.', 'P3Y')
  @IsOptional()
  @IsPeriod()
  retention?: Period;

  @IsOptional()
  @IsList(0, 50)
  @IsPlainText(200, { each: true })
  @ArrayUnique()
  dataCategories: string[] = [];

  @IsOptional()
  @IsList(0, 50)
  @IsPlainText(200, { each: true })
  @ArrayUnique()
  recipients: string[] = [];
}

export class PurposeBody extends PurposeRules {
  @Described('Stays for ever; `marketing` is reserved.', 'newsletter')
  @IsCode()
  key!: string;
}

export class PurposeRevisionBody extends PurposeRules {
  @Described('That of the path, where it is given.')
  @IsOptional()
  @IsCode()
  key?: string;
}

@Rule(textsByLanguage({ atLeastOne: false }))
class TopicRules {
  @Described('The purpose that it belongs to.')
  @IsCode()
  purpose!: string;

  @Described('What holds for people who never chose.')
  @IsOptional()
  @IsIn(['off', 'follows-purpose'])
  unset: 'off' | 'follows-purpose' = 'off';

  @Described('The topic in words, by BCP 47 language tag.')
  @IsOptional()
  @IsTexts()
  texts: Record<string, string> = {};
}

export class TopicBody extends TopicRules {
  @Described('Stays for ever.', 'product-news')
  @IsCode()
  key!: string;
}

export class TopicRevisionBody extends TopicRules {
  @Described('That of the path, where it is given.')
  @IsOptional()
  @IsCode()
  key?: string;
}

export class NoticeBody {
  @Described('Absent for a notice of the organisation as a whole; a consent notice needs one.')
  @IsOptional()
  @IsCode()
  purpose?: string;

  @IsIn(NOTICE_KINDS)
  kind!: NoticeKind;

  @Described('What a grant names as noticeVersion.')
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  version!: number;

  @IsLanguage()
  language!: string;

  @Described('The words that are shown, exactly. They never change.')
  @IsPlainText(50_000)
  @MaxJsonBytes(55_000)
  text!: string;

  @Described('Absent: now.')
  @IsOptional()
  @IsInstant()
  publishedAt?: Instant;
}

export class RetirementBody {
  @Described('When it ends; may lie ahead. Absent: now.')
  @IsOptional()
  @IsInstant()
  retiredAt?: Instant;
}

const DEFAULT_BASES = LEGAL_BASES.filter(
  (basis): basis is DefaultBasis['basis'] => basis !== 'consent',
);

export class DefaultBasisBody {
  @IsCode()
  purpose!: string;

  @IsIn(DEFAULT_BASES)
  basis!: DefaultBasis['basis'];

  @IsIn(['established', 'asserted'])
  status!: DefaultBasis['status'];

  @Described('The law, where the basis must name it.')
  @IsOptional()
  @IsPlainText(500)
  reference?: string;

  @Described('The balancing test behind it.')
  @IsOptional()
  @IsPlainText(500)
  assessment?: string;
}

export class DefaultsBody {
  @Described('Recorded for everybody whose registration names no basis for that purpose.')
  @NestedList(() => DefaultBasisBody, { min: 0, max: 50 })
  bases!: DefaultBasisBody[];
}

export class CatalogueBody {
  @IsOptional()
  @NestedList(() => ControllerBody, { min: 0, max: 200 })
  controllers: ControllerBody[] = [];

  @IsOptional()
  @IsList(0, 500)
  @IsCode({ each: true })
  @ArrayUnique()
  sources: string[] = [];

  @IsOptional()
  @NestedList(() => PurposeBody, { min: 0, max: 500 })
  purposes: PurposeBody[] = [];

  @IsOptional()
  @NestedList(() => NoticeBody, { min: 0, max: 5_000 })
  notices: NoticeBody[] = [];

  @IsOptional()
  @NestedList(() => TopicBody, { min: 0, max: 1_000 })
  topics: TopicBody[] = [];

  @Described('Absent: the defaults stay as they are.')
  @IsOptional()
  @Nested(() => DefaultsBody)
  defaults?: DefaultsBody;
}

export class KnownAtQuery {
  @Described('What the ledger knew then: a time, or `position:N`.')
  @IsOptional()
  @IsKnownAt()
  knownAt?: KnownAt;
}

export class CatalogueQuery extends PageQuery {
  @Described('What the ledger knew then: a time, or `position:N`.')
  @IsOptional()
  @IsKnownAt()
  knownAt?: KnownAt;
}

export class NoticesQuery extends CatalogueQuery {
  @IsOptional()
  @IsCode()
  purpose?: string;

  @IsOptional()
  @IsIn(NOTICE_KINDS)
  kind?: NoticeKind;

  @IsOptional()
  @IsLanguage()
  language?: string;
}

export class TopicsQuery extends CatalogueQuery {
  @IsOptional()
  @IsCode()
  purpose?: string;
}

export function purposeFrom(body: PurposeRules, key: string): PurposeDefinition {
  const { controllers, marketing, allowedBases, channels, minimumEvidence } = body;
  const { doubleOptIn, explicitConsent, expiresAfter, retention } = body;
  const { dataCategories, recipients } = body;
  return {
    key,
    texts: canonicalTexts(body.texts),
    controllers,
    marketing,
    allowedBases,
    channels,
    minimumEvidence,
    doubleOptIn,
    explicitConsent,
    expiresAfter,
    retention,
    dataCategories,
    recipients,
  };
}

export function topicFrom({ purpose, unset, texts }: TopicRules, key: string): TopicDefinition {
  return { key, purpose, unset, texts: canonicalTexts(texts) };
}

export function noticeFrom(body: NoticeBody): NoticeWords {
  const { purpose, kind, version, language, text, publishedAt } = body;
  return { purpose, kind, version, language, text, publishedAt };
}

export function controllerFrom({ key, name, contact }: ControllerBody): Controller {
  return { key, name, contact };
}

export function defaultsFrom({ bases }: DefaultsBody): readonly DefaultBasis[] {
  return bases.map(({ purpose, basis, status, reference, assessment }) => ({
    purpose,
    basis,
    status,
    reference,
    assessment,
  }));
}

/** The file that a body is. Also for the command line, which reads it with `readBody`. */
export function catalogueFrom(body: CatalogueBody): CatalogueFile {
  return {
    controllers: body.controllers.map(controllerFrom),
    sources: body.sources,
    purposes: body.purposes.map((purpose) => purposeFrom(purpose, purpose.key)),
    notices: body.notices.map(noticeFrom),
    topics: body.topics.map((topic) => topicFrom(topic, topic.key)),
    defaults: body.defaults && { bases: defaultsFrom(body.defaults) },
  };
}
