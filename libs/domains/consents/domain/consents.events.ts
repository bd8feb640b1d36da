/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The consents slice: legal bases per person and purpose, consent among them, and objections.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { EventId, NoticeId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Pii } from '#core/kernel/pii.js';
import type { LegalBasis } from '#domains/purposes/domain/purposes.events.js';

export type { LegalBasis };

/** What the events about a consent amount to at a moment; no event holds it. */
export type ConsentStatus =
  | 'requested'
  | 'given'
  | 'refused'
  | 'withdrawn'
  | 'expired'
  | 'invalidated'
  | 'unknown'
  | 'evidence-missing'
  | 'confirmation-pending';

/** What was put on record beside a declaration; evidence and comment with an interaction's first event only. */
export interface Testimony {
  /** Where it was made: a code of the organisation's own. */
  readonly collectionPoint?: string;
  readonly evidence?: Pii<Readonly<Record<string, unknown>>>;
  readonly comment?: Pii<string>;
}

/** Which purpose, and by which revision of it. */
export interface ForPurpose {
  readonly purpose: string;
  readonly purposeRevision: number;
}

/** The notice that a person was shown; the hash is missing where it was not published in that language. */
export interface NoticeShown {
  readonly id: NoticeId;
  readonly version: number;
  readonly language: string;
  readonly hash?: string;
}

/** How a person confirmed a grant, and when. */
export interface Confirmation {
  readonly method: 'double-opt-in' | 'signed-form';
  readonly at: Instant;
}

/** The person was asked for consent (Art. 7(2)). */
export type ConsentRequested = Event<'ConsentRequested', ForPurpose & Testimony>;

/** The person agreed to a purpose (Art. 4(11), Art. 6(1)(a)). */
export type ConsentGiven = Event<
  'ConsentGiven',
  ForPurpose &
    Testimony & {
      readonly notice?: NoticeShown;
      /** `incomplete`: the notice named was not published in that language by then. */
      readonly noticeEvidence: 'complete' | 'incomplete' | 'none';
      readonly confirmation?: Confirmation;
      /** By the rule in force when it was recorded; from here on it is expired. */
      readonly expiresAt?: Instant;
    }
>;

/** The person confirmed an earlier grant, by double opt-in or in writing (Art. 7(1)). */
export type ConsentConfirmed = Event<
  'ConsentConfirmed',
  ForPurpose & Testimony & { readonly confirmation: Confirmation; readonly expiresAt?: Instant }
>;

/** The person said no when asked (Art. 7(4)). */
export type ConsentRefused = Event<
  'ConsentRefused',
  ForPurpose & Testimony & { readonly notice?: NoticeShown }
>;

/** The person withdrew consent (Art. 7(3)). */
export type ConsentWithdrawn = Event<'ConsentWithdrawn', ForPurpose & Testimony>;

/** The person renewed a valid consent; it now ends later. */
export type ConsentRenewed = Event<
  'ConsentRenewed',
  ForPurpose & Testimony & { readonly notice?: NoticeShown; readonly expiresAt?: Instant }
>;

/** A consent reached the end of its time. It only announces what follows from the grant. */
export type ConsentExpired = Event<
  'ConsentExpired',
  { readonly purpose: string; readonly grant: EventId }
>;

/** A grant was found never to have been a valid consent (Art. 7(2), last sentence). */
export type ConsentInvalidated = Event<
  'ConsentInvalidated',
  ForPurpose & Testimony & { readonly grant: EventId }
>;

interface BasisSet extends ForPurpose, Testimony {
  readonly basis: LegalBasis;
  readonly status: 'established' | 'asserted' | 'unknown';
  /** Contract, law or decision it rests on. */
  readonly reference?: Pii<string>;
  /** The balancing test of legitimate interests or public task. */
  readonly assessment?: Pii<string>;
  readonly validUntil?: Instant;
}

/** A legal basis for a purpose was recorded (Art. 6(1)). */
export type LegalBasisEstablished = Event<'LegalBasisEstablished', BasisSet>;

/** What is recorded of a standing legal basis changed. */
export type LegalBasisChanged = Event<'LegalBasisChanged', BasisSet>;

/** A legal basis ended. */
export type LegalBasisEnded = Event<
  'LegalBasisEnded',
  ForPurpose & Testimony & { readonly basis: LegalBasis; readonly reference?: Pii<string> }
>;

/** Somebody tried to put another basis in the place of consent (EDPB 05/2020, 121-123). */
export type BasisSwapRefused = Event<
  'BasisSwapRefused',
  ForPurpose & Testimony & { readonly basis: LegalBasis; readonly reference?: Pii<string> }
>;

/** To all direct marketing, or to one purpose. */
export type ObjectionScope =
  { readonly scope: 'marketing' } | { readonly scope: 'purpose'; readonly purpose: string };

/** The person objected (Art. 21(1) and (2)). */
export type ObjectionRaised = Event<'ObjectionRaised', ObjectionScope & Testimony>;

/** Compelling legitimate grounds override an objection (Art. 21(1)). */
export type ObjectionUpheldAgainst = Event<
  'ObjectionUpheldAgainst',
  ForPurpose &
    Testimony & {
      readonly basis: 'public-task' | 'legitimate-interests';
      readonly reference?: Pii<string>;
      readonly assessment?: Pii<string>;
    }
>;

/** The person took an objection back. */
export type ObjectionWithdrawn = Event<'ObjectionWithdrawn', ObjectionScope & Testimony>;

export type ConsentEvent =
  | ConsentRequested
  | ConsentGiven
  | ConsentConfirmed
  | ConsentRefused
  | ConsentWithdrawn
  | ConsentRenewed
  | ConsentExpired
  | ConsentInvalidated
  | LegalBasisEstablished
  | LegalBasisChanged
  | LegalBasisEnded
  | BasisSwapRefused
  | ObjectionRaised
  | ObjectionUpheldAgainst
  | ObjectionWithdrawn;

const testimony = { evidence: 'evidence', comment: 'evidence' } as const;
const basis = { ...testimony, reference: 'evidence' } as const;
const assessed = { ...basis, assessment: 'evidence' } as const;

export const consentEvents = catalogue<ConsentEvent>({
  ConsentRequested: {
    version: 1,
    sealed: testimony,
    says: { en: 'Consent requested for {purpose}', de: 'Einwilligung erbeten: {purpose}' },
  },
  ConsentGiven: {
    version: 1,
    sealed: testimony,
    says: { en: 'Consent given for {purpose}', de: 'Einwilligung erteilt: {purpose}' },
  },
  ConsentConfirmed: {
    version: 1,
    sealed: testimony,
    says: { en: 'Consent confirmed for {purpose}', de: 'Einwilligung bestätigt: {purpose}' },
  },
  ConsentRefused: {
    version: 1,
    sealed: testimony,
    says: { en: 'Consent refused for {purpose}', de: 'Einwilligung verweigert: {purpose}' },
  },
  ConsentWithdrawn: {
    version: 1,
    sealed: testimony,
    says: { en: 'Consent withdrawn for {purpose}', de: 'Einwilligung widerrufen: {purpose}' },
  },
  ConsentRenewed: {
    version: 1,
    sealed: testimony,
    says: { en: 'Consent renewed for {purpose}', de: 'Einwilligung erneuert: {purpose}' },
  },
  ConsentExpired: {
    version: 1,
    says: { en: 'Consent expired for {purpose}', de: 'Einwilligung abgelaufen: {purpose}' },
  },
  ConsentInvalidated: {
    version: 1,
    sealed: testimony,
    says: {
      en: 'Consent for {purpose} found invalid',
      de: 'Einwilligung für ungültig befunden: {purpose}',
    },
  },
  LegalBasisEstablished: {
    version: 1,
    sealed: assessed,
    says: {
      en: 'Legal basis {basis} recorded for {purpose}: {status}',
      de: 'Rechtsgrundlage {basis} erfasst für {purpose}: {status}',
    },
  },
  LegalBasisChanged: {
    version: 1,
    sealed: assessed,
    says: {
      en: 'Legal basis {basis} changed for {purpose}: {status}',
      de: 'Rechtsgrundlage {basis} geändert für {purpose}: {status}',
    },
  },
  LegalBasisEnded: {
    version: 1,
    sealed: basis,
    says: {
      en: 'Legal basis {basis} ended for {purpose}',
      de: 'Rechtsgrundlage {basis} beendet für {purpose}',
    },
  },
  BasisSwapRefused: {
    version: 1,
    sealed: basis,
    says: {
      en: 'Refused to put {basis} in the place of consent for {purpose}',
      de: 'Ersetzen der Einwilligung durch {basis} abgelehnt: {purpose}',
    },
  },
  ObjectionRaised: {
    version: 1,
    sealed: testimony,
    says: {
      en: 'Objection raised ({scope} {purpose})',
      de: 'Widerspruch eingelegt ({scope} {purpose})',
    },
  },
  ObjectionUpheldAgainst: {
    version: 1,
    sealed: assessed,
    says: {
      en: 'Objection overruled: {basis} upheld for {purpose}',
      de: 'Widerspruch zurückgewiesen: {basis} bleibt bestehen für {purpose}',
    },
  },
  ObjectionWithdrawn: {
    version: 1,
    sealed: testimony,
    says: {
      en: 'Objection taken back ({scope} {purpose})',
      de: 'Widerspruch zurückgenommen ({scope} {purpose})',
    },
  },
});
