/** The words of the catalogue, for who writes and reads it. */
export {
  type Channel,
  CHANNELS,
  type Controller,
  type DefaultBasis,
  type LegalBasis,
  LEGAL_BASES,
  type NoticeKind,
  NOTICE_KINDS,
  type PurposeDefinition,
  type Texts,
  type TopicDefinition,
} from '../domain/purposes.events.js';
export type { CatalogueFile, NoticeWords } from '../domain/catalogue-plan.js';
