import { IsIn, IsInt, IsOptional, Max, Min, IsObject } from 'class-validator';
import type { Instant } from '#core/kernel/instant.js';
import type { KnownAt } from '#core/kernel/moment.js';
import type { SubjectId } from '#core/kernel/ids.js';
import { AsOf, KnownWhen } from '#core/platform/http/moment.js';
import { ExactlyOne, Nested, NestedList, OneOf } from '#core/platform/http/shapes.js';
import {
  IsCode,
  IsIdOf,
  IsInstant,
  IsLanguage,
  IsPlainText,
  MaxJsonBytes,
} from '#core/platform/http/validators.js';
import { type Channel, CHANNELS } from '#domains/purposes/domain/purposes.events.js';
import { ContactPointBody, ExternalRefBody } from '#domains/subjects/api/registration.shapes.js';
import { BasisTermsBody } from './basis.shapes.js';

/** What the calls on choices, bases and decisions take. */

export class ConfirmationBody {
  @IsIn(['double-opt-in', 'signed-form'])
  method!: 'double-opt-in' | 'signed-form';

  @IsInstant()
  at!: Instant;
}

export class PurposeChoiceBody {
  @IsCode()
  purpose!: string;

  @IsIn(['give', 'confirm', 'refuse', 'withdraw', 'renew'])
  decision!: 'give' | 'confirm' | 'refuse' | 'withdraw' | 'renew';

  /** The version of the consent notice that was shown. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  noticeVersion?: number;

  @IsOptional()
  @Nested(() => ConfirmationBody)
  confirmation?: ConfirmationBody;
}

export class TopicChoiceBody {
  @IsCode()
  topic!: string;

  @IsIn(CHANNELS)
  channel!: Channel;

  @IsIn(['on', 'off'])
  decision!: 'on' | 'off';
}

export class ObjectionChoiceBody {
  /** `marketing` for all direct marketing, or a purpose's key. */
  @IsCode()
  objection!: string;

  @IsIn(['raise', 'withdraw'])
  decision!: 'raise' | 'withdraw';
}

@OneOf({
  purpose: () => PurposeChoiceBody,
  topic: () => TopicChoiceBody,
  objection: () => ObjectionChoiceBody,
})
export abstract class ChoiceBody {}

export class DeclaredByBody {
  @IsIn(['subject', 'guardian', 'representative', 'officer'])
  kind!: 'subject' | 'guardian' | 'representative' | 'officer';

  @IsOptional()
  @IsIn(['none', 'link', 'login', 'voice', 'signed', 'eid'])
  assurance?: 'none' | 'link' | 'login' | 'voice' | 'signed' | 'eid';
}

export class InteractionBody {
  /** When the person acted; absent: now. */
  @IsOptional()
  @IsInstant()
  occurredAt?: Instant;

  /** When the organisation had it in hand. */
  @IsOptional()
  @IsInstant()
  receivedAt?: Instant;

  /** One of the privacy centre's sources. */
  @IsCode()
  source!: string;

  /** Where: a code of the organisation's own. */
  @IsOptional()
  @IsCode()
  collectionPoint?: string;

  /** In which language the person was asked. */
  @IsOptional()
  @IsLanguage()
  language?: string;

  @IsOptional()
  @Nested(() => DeclaredByBody)
  declaredBy?: DeclaredByBody;

  /** Whatever proves it; sealed. */
  @IsOptional()
  @IsObject()
  @MaxJsonBytes(16 * 1024)
  evidence?: Record<string, unknown>;

  @IsOptional()
  @IsPlainText(2_000)
  comment?: string;

  @NestedList(() => ChoiceBody, { min: 1, max: 100 })
  choices!: (PurposeChoiceBody | TopicChoiceBody | ObjectionChoiceBody)[];
}

export class BasisBody extends BasisTermsBody {
  /** One of the privacy centre's sources. */
  @IsCode()
  source!: string;

  @IsOptional()
  @IsInstant()
  receivedAt?: Instant;
}

@ExactlyOne('subjectId', 'contactPoint', 'externalRef')
export class QuestionBody {
  @IsOptional()
  @IsIdOf('sub')
  subjectId?: SubjectId;

  @IsOptional()
  @Nested(() => ContactPointBody)
  contactPoint?: ContactPointBody;

  @IsOptional()
  @Nested(() => ExternalRefBody)
  externalRef?: ExternalRefBody;

  @IsCode()
  purpose!: string;

  @IsOptional()
  @IsIn(CHANNELS)
  channel?: Channel;

  @IsOptional()
  @IsCode()
  topic?: string;

  @AsOf()
  asOf?: Instant;

  @KnownWhen()
  knownAt?: KnownAt;
}

export class QuestionsBody {
  @NestedList(() => QuestionBody, { min: 1, max: 1_000 })
  questions!: QuestionBody[];
}

/** One question, or a list of them. */
@OneOf({ questions: () => QuestionsBody }, () => QuestionBody)
export abstract class DecisionsBody {}

export class AudienceBody {
  @IsCode()
  purpose!: string;

  @IsOptional()
  @IsCode()
  topic?: string;

  @IsOptional()
  @IsIn(CHANNELS)
  channel?: Channel;

  @AsOf()
  asOf?: Instant;

  @KnownWhen()
  knownAt?: KnownAt;

  @IsOptional()
  @IsIn(['externalRefs', 'contactPoints'], { each: true })
  include: ('externalRefs' | 'contactPoints')[] = [];

  /** `full` also counts those left out, by the code that says why. */
  @IsOptional()
  @IsIn(['short', 'full'])
  summary: 'short' | 'full' = 'short';
}
