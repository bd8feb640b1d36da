/**
 * The terms of W3C's Data Privacy Vocabulary 2.3 that records and receipts are written in. A term that is
 * not listed here does not compile; that each one exists is checked against the published term lists.
 */
export const DPV_TERMS = [
  'dpv:Collect',
  'dpv:ConsentExpired',
  'dpv:ConsentGiven',
  'dpv:ConsentInvalidated',
  'dpv:ConsentNotice',
  'dpv:ConsentReceipt',
  'dpv:ConsentRecord',
  'dpv:ConsentRefused',
  'dpv:ConsentRequested',
  'dpv:ConsentUnknown',
  'dpv:ConsentWithdrawn',
  'dpv:DataController',
  'dpv:DataSubject',
  'dpv:DataSubjectRight',
  'dpv:DirectMarketing',
  'dpv:ExplicitlyExpressedConsent',
  'dpv:ExpressedConsent',
  'dpv:GuardianOfDataSubject',
  'dpv:PersonalData',
  'dpv:Process',
  'dpv:Purpose',
  'dpv:Recipient',
  'dpv:RenewedConsentGiven',
  'dpv:Representative',
  'dpv:StorageDuration',
  'dpv:Store',
  'dpv:TemporalDuration',
  'dpv:UntilTimeDuration',
  'dpv:Use',
  'dpv:WithdrawConsent',
  'dpv:hasApplicableLaw',
  'dpv:hasConsentControl',
  'dpv:hasConsentStatus',
  'dpv:hasContact',
  'dpv:hasDataController',
  'dpv:hasDataSubject',
  'dpv:hasDuration',
  'dpv:hasEntity',
  'dpv:hasIdentifier',
  'dpv:hasIndicationMethod',
  'dpv:hasLegalBasis',
  'dpv:hasName',
  'dpv:hasNotice',
  'dpv:hasPersonalData',
  'dpv:hasProcess',
  'dpv:hasProcessing',
  'dpv:hasPurpose',
  'dpv:hasRecipient',
  'dpv:hasRecordOfActivity',
  'dpv:hasRight',
  'dpv:hasStorageCondition',
  'dpv:isExercisedAt',
  'dpv:isIndicatedAtTime',
  'dpv:isIndicatedBy',
  'eu-gdpr:A15',
  'eu-gdpr:A16',
  'eu-gdpr:A17',
  'eu-gdpr:A18',
  'eu-gdpr:A20',
  'eu-gdpr:A21',
  'eu-gdpr:A6-1-a',
  'eu-gdpr:A7-3',
  'eu-gdpr:A77',
  'eu-gdpr:A9-2-a',
] as const;
export type DpvTerm = (typeof DPV_TERMS)[number];

/** Of other vocabularies: Dublin Core, SKOS, RDF and schema.org. */
type OtherTerm =
  | 'dct:accessRights'
  | 'dct:created'
  | 'dct:hasVersion'
  | 'dct:identifier'
  | 'dct:language'
  | 'dct:publisher'
  | 'dct:source'
  | 'dct:title'
  | 'rdf:value'
  | 'schema:contactPoint'
  | 'schema:recipient'
  | 'schema:sha256'
  | 'skos:broader';

/** A node of a JSON-LD document, without the fields that are undefined. */
export type Node = {
  readonly [Term in DpvTerm | OtherTerm | '@id']?: Value;
} & { readonly '@type'?: Value };
type Value = string | number | Node | readonly (string | Node)[];

export const CONTEXT = {
  dpv: 'https://w3id.org/dpv#',
  'eu-gdpr': 'https://w3id.org/dpv/legal/eu/gdpr#',
  'legal-eu': 'https://w3id.org/dpv/legal/eu#',
  dct: 'http://purl.org/dc/terms/',
  schema: 'https://schema.org/',
  skos: 'http://www.w3.org/2004/02/skos/core#',
  rdf: 'http://www.w3.org/1999/02/22-rdf-syntax-ns#',
} as const;
