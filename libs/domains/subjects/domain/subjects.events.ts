/**
 * STORAGE FORMAT. What is written here is stored for ever: add versions and upcasts, never edit.
 * The subjects slice: who a data subject is, how to reach them, and where processing is restricted.
 */
import { catalogue } from '#core/kernel/catalogue.js';
import type { Event } from '#core/kernel/event.js';
import type { ContactPointId, ReceiptId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Pii } from '#core/kernel/pii.js';

export const CONTACT_KINDS = ['email', 'phone', 'post'] as const;
export type ContactKind = (typeof CONTACT_KINDS)[number];

export const RESTRICTION_GROUNDS = [
  'accuracy-contested',
  'unlawful',
  'legal-claims',
  'objection-pending',
] as const;
export type RestrictionGround = (typeof RESTRICTION_GROUNDS)[number];

export interface ExternalRef {
  readonly system: string;
  readonly id: string;
}

/** How the data reached the controller: from the data subject (Art. 13), or otherwise (Art. 14). */
export interface Collection {
  readonly from: 'subject' | 'third-party' | 'public';
  readonly collectedAt?: Instant;
}

/** The controller began to hold data about this person (Art. 4(1)). */
export type SubjectRegistered = Event<
  'SubjectRegistered',
  {
    readonly subjectId: SubjectId;
    readonly collection?: Collection;
    /** Who the data came from, where not from the person (Art. 14(2)(f)). */
    readonly origin?: Pii<string>;
    readonly language?: string;
    readonly name?: Pii<string>;
    readonly externalRefs?: Pii<readonly ExternalRef[]>;
  }
>;

/** A way to reach the person became known. */
export type ContactPointAdded = Event<
  'ContactPointAdded',
  {
    readonly contactPointId: ContactPointId;
    readonly kind: ContactKind;
    readonly value: Pii<string>;
  }
>;

/** A way to reach the person is no longer theirs; its value can be forgotten alone. */
export type ContactPointRemoved = Event<
  'ContactPointRemoved',
  { readonly contactPointId: ContactPointId; readonly kind: ContactKind }
>;

/** The person showed that this contact point reaches them. */
export type ContactPointVerified = Event<
  'ContactPointVerified',
  { readonly contactPointId: ContactPointId; readonly kind: ContactKind }
>;

/** Inaccurate data about the person was put right (Art. 16). */
export type SubjectRectified = Event<
  'SubjectRectified',
  { readonly name?: Pii<string>; readonly language?: string }
>;

/** Processing is restricted, wholly or for some purposes (Art. 18(1)). */
export type ProcessingRestricted = Event<
  'ProcessingRestricted',
  {
    readonly ground: RestrictionGround;
    /** Keys; absent for all purposes. */
    readonly purposes?: readonly string[];
    readonly note?: Pii<string>;
  }
>;

/** All restrictions of the person's processing were lifted (Art. 18(3)). */
export type RestrictionLifted = Event<'RestrictionLifted', { readonly note?: Pii<string> }>;

export type SubjectEvent =
  | SubjectRegistered
  | ContactPointAdded
  | ContactPointRemoved
  | ContactPointVerified
  | SubjectRectified
  | ProcessingRestricted
  | RestrictionLifted;

/** A contact point is sealed under a key of its own, so that it can be forgotten alone. */
export function compartmentOf({ contactPointId }: { readonly contactPointId: ContactPointId }) {
  return `contact-${contactPointId}` as const;
}

/** What the look-up entries of a person's external references hang on: the registration that brought them. */
export function registrationReference(receiptId: ReceiptId) {
  return `registration-${receiptId}` as const;
}

export const subjectEvents = catalogue<SubjectEvent>({
  SubjectRegistered: {
    version: 1,
    sealed: { origin: 'identity', name: 'identity', externalRefs: 'identity' },
    says: { en: 'Registered', de: 'Erfasst' },
  },
  ContactPointAdded: {
    version: 1,
    sealed: { value: compartmentOf },
    says: { en: 'Contact point added ({kind})', de: 'Kontaktweg hinzugefügt ({kind})' },
  },
  ContactPointRemoved: {
    version: 1,
    says: { en: 'Contact point removed ({kind})', de: 'Kontaktweg entfernt ({kind})' },
  },
  ContactPointVerified: {
    version: 1,
    says: { en: 'Contact point verified ({kind})', de: 'Kontaktweg bestätigt ({kind})' },
  },
  SubjectRectified: {
    version: 1,
    sealed: { name: 'identity' },
    says: { en: 'Data rectified', de: 'Daten berichtigt' },
  },
  ProcessingRestricted: {
    version: 1,
    sealed: { note: 'evidence' },
    says: { en: 'Processing restricted: {ground}', de: 'Verarbeitung eingeschränkt: {ground}' },
  },
  RestrictionLifted: {
    version: 1,
    sealed: { note: 'evidence' },
    says: { en: 'Restriction lifted', de: 'Einschränkung aufgehoben' },
  },
});
