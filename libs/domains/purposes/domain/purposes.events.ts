/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The privacy centre: purposes, the notices shown for them, subscription topics and settings.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { Id, NoticeId } from '#core/kernel/ids.js';
import type { Instant, Period } from '#core/kernel/instant.js';

export type PurposeId = Id<'pur'>;
export type TopicId = Id<'tpc'>;

/** The six bases of Art. 6(1)(a) to (f). */
export const LEGAL_BASES = [
  'consent',
  'contract',
  'legal-obligation',
  'vital-interests',
  'public-task',
  'legitimate-interests',
] as const;
export type LegalBasis = (typeof LEGAL_BASES)[number];

export const CHANNELS = ['email', 'sms', 'phone', 'post', 'push'] as const;
export type Channel = (typeof CHANNELS)[number];

export const NOTICE_KINDS = ['consent', 'privacy-policy', 'art-13', 'art-14'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** By BCP 47 language tag. */
export type Texts = Readonly<Record<string, string>>;

/** What a purpose is: why data is processed, and by which rules a basis for it counts (Art. 5(1)(b)). */
export interface PurposeDefinition {
  readonly key: string;
  readonly texts: Texts;
  /** Keys of the controllers (Art. 4(7)). */
  readonly controllers: readonly string[];
  /** Direct marketing: an objection to it is absolute (Art. 21(3)). */
  readonly marketing: boolean;
  readonly allowedBases: readonly LegalBasis[];
  /** The channels that a consent for marketing covers. */
  readonly channels: readonly Channel[];
  /** What a grant must show in order to count. */
  readonly minimumEvidence: 'none' | 'notice';
  readonly doubleOptIn: boolean;
  /** Special categories of data are involved: consent must be explicit (Art. 9(2)(a)). */
  readonly explicitConsent: boolean;
  readonly expiresAfter?: Period;
  readonly retention?: Period;
  readonly dataCategories: readonly string[];
  readonly recipients: readonly string[];
}

/** A purpose of processing was specified (Art. 5(1)(b)). */
export type PurposeDefined = Event<
  'PurposeDefined',
  { readonly purposeId: PurposeId } & PurposeDefinition
>;

/** A purpose's texts or rules changed; consents name the revision they were given under. */
export type PurposeRevised = Event<
  'PurposeRevised',
  { readonly purposeId: PurposeId } & PurposeDefinition
>;

/** From its time on nothing may be done for this purpose. */
export type PurposeRetired = Event<
  'PurposeRetired',
  { readonly purposeId: PurposeId; readonly key: string }
>;

/** The words of a notice were published in one language; they never change. */
export type NoticePublished = Event<
  'NoticePublished',
  {
    readonly noticeId: NoticeId;
    readonly purpose?: string;
    readonly kind: NoticeKind;
    readonly version: number;
    readonly language: string;
    readonly text: string;
    /** SHA-256 of the text in UTF-8, hex: the notice's address. */
    readonly hash: string;
    readonly publishedAt: Instant;
  }
>;

export interface TopicDefinition {
  readonly key: string;
  readonly purpose: string;
  /** What holds for a person who never chose. */
  readonly unset: 'off' | 'follows-purpose';
  readonly texts: Texts;
}

/** A subscription type was defined within a purpose, or its definition changed. */
export type TopicDefined = Event<'TopicDefined', { readonly topicId: TopicId } & TopicDefinition>;

/** From its time on nobody receives this topic. */
export type TopicRetired = Event<
  'TopicRetired',
  { readonly topicId: TopicId; readonly key: string }
>;

export interface Controller {
  readonly key: string;
  readonly name: string;
  readonly contact?: string;
}

/** The basis recorded for a person whose registration names none for that purpose. */
export interface DefaultBasis {
  readonly purpose: string;
  readonly basis: Exclude<LegalBasis, 'consent'>;
  readonly status: 'established' | 'asserted';
  /** The law, where the basis must name it (Art. 6(3)); contract or decision otherwise. */
  readonly reference?: string;
  /** The balancing test behind it. */
  readonly assessment?: string;
}

/** Controllers, sources or defaults of the privacy centre changed; what is absent stays. */
export type SettingsChanged = Event<
  'SettingsChanged',
  {
    readonly controllers?: readonly Controller[];
    readonly sources?: readonly string[];
    readonly defaultBases?: readonly DefaultBasis[];
  }
>;

export type PurposeEvent =
  | PurposeDefined
  | PurposeRevised
  | PurposeRetired
  | NoticePublished
  | TopicDefined
  | TopicRetired
  | SettingsChanged;

export const purposeEvents = catalogue<PurposeEvent>({
  PurposeDefined: {
    version: 1,
    says: { en: 'Purpose {key} defined', de: 'Zweck {key} festgelegt' },
  },
  PurposeRevised: {
    version: 1,
    says: { en: 'Purpose {key} revised', de: 'Zweck {key} überarbeitet' },
  },
  PurposeRetired: {
    version: 1,
    says: { en: 'Purpose {key} retired', de: 'Zweck {key} stillgelegt' },
  },
  NoticePublished: {
    version: 1,
    says: {
      en: 'Notice published: {purpose} {kind} version {version} ({language})',
      de: 'Hinweis veröffentlicht: {purpose} {kind} Fassung {version} ({language})',
    },
  },
  TopicDefined: {
    version: 1,
    says: { en: 'Topic {key} defined', de: 'Thema {key} festgelegt' },
  },
  TopicRetired: {
    version: 1,
    says: { en: 'Topic {key} retired', de: 'Thema {key} stillgelegt' },
  },
  SettingsChanged: {
    version: 1,
    says: { en: 'Settings changed', de: 'Einstellungen geändert' },
  },
});
