import type { Recorded } from '#core/kernel/event.js';
import type { ReceiptId, SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { ConsentStatus, NoticeShown } from '#domains/consents/domain/consents.events.js';
import type { Controller, PurposeDefinition } from '#domains/purposes/domain/purposes.events.js';
import { CONTEXT, type DpvTerm, type Node } from './vocabulary.js';

/**
 * ISO/IEC TS 27560:2023 consent records and receipts in the terms of DPV 2.3, without personal data: the
 * person is an opaque id. What the ledger does not hold is left out, never filled in: jurisdiction, places
 * of storage and processing, and the authority. The profiles of DPV for such records ask for these: no conformance
 * to them is claimed.
 */
export interface RecordsDocument {
  readonly '@context': typeof CONTEXT;
  readonly '@graph': readonly Node[];
}

/** A state that a consent was in, and the event that it rests on. */
export interface ConsentState {
  readonly status: ConsentStatus;
  readonly since: Instant;
  readonly until?: Instant;
  readonly event: { readonly id: string };
}

export interface ConsentOfPerson {
  readonly purpose: PurposeDefinition & { readonly purposeId: string; readonly revision: number };
  /** In order of time; of a piece those that rest on its events, and perhaps none. */
  readonly states: readonly ConsentState[];
  /** Whether the record began with an earlier piece. */
  readonly begun?: boolean;
}

/** A random-looking UUID of version 4 that is always the same for the same text. */
export type UuidOf = (text: string) => string;

/** A person, or a piece of one who has more events than one document should hold. */
export interface RecordsInput {
  readonly subjectId: SubjectId;
  /** All that were ever spoken of, also where no state of theirs is in this piece. */
  readonly consents: readonly ConsentOfPerson[];
  /** The person's events that the states rest on, and more. */
  readonly events: readonly Recorded[];
  readonly controllers: readonly Controller[];
  readonly uuidOf: UuidOf;
}

export function recordsDocument(nodes: readonly Node[]): RecordsDocument {
  return { '@context': CONTEXT, '@graph': nodes };
}

/**
 * A record for each purpose for which consent was ever spoken of, a receipt for each interaction that did. A
 * record that began with an earlier piece goes on under the same `@id`, which makes it one again (RDF 1.1
 * Semantics, 4.1: the graphs of several documents are merged).
 */
export function recordsOf(input: RecordsInput): Node[] {
  const stated = input.consents.filter(({ states }) => states.length > 0);
  const records = stated.map((consent) => recordOf(consent, input));
  return [...records, ...receiptsOf(input)];
}

function recordOf({ purpose, states, begun }: ConsentOfPerson, input: RecordsInput): Node {
  const { subjectId, events, uuidOf } = input;
  const id = uuidOf(`record ${subjectId} ${purpose.purposeId}`);
  const byId = new Map(events.map((event) => [event.id as string, event]));
  const rests = states.flatMap((state) => byId.get(state.event.id) ?? []);
  const notices = noticesIn(rests);
  const controllers = input.controllers.filter(({ key }) => purpose.controllers.includes(key));
  const head = {
    'dct:identifier': id,
    'dpv:hasIdentifier': id,
    'dct:created': rests.map(({ recordedAt }) => recordedAt).sort()[0],
    'dpv:hasDataSubject': { '@id': urnOf(subjectId), '@type': 'dpv:DataSubject' },
    'dpv:hasApplicableLaw': 'legal-eu:law-GDPR',
    'dpv:hasProcess': [processOf(purpose, controllers)],
    'dpv:hasEntity': controllers.map(entityOf),
  };
  return without({
    '@id': `urn:uuid:${id}`,
    '@type': 'dpv:ConsentRecord',
    ...(begun ? {} : head),
    'dpv:hasNotice': notices.length === 0 ? undefined : notices,
    'dpv:hasConsentStatus': states.map((state) => statusOf(state, purpose, byId, controllers)),
  });
}

function processOf(purpose: ConsentOfPerson['purpose'], controllers: readonly Controller[]): Node {
  const { marketing, explicitConsent, dataCategories, recipients, retention } = purpose;
  const contact = controllers.find((controller) => controller.contact)?.contact;
  return without({
    '@type': 'dpv:Process',
    'dpv:hasPurpose': without({
      '@id': urnOf(purpose.purposeId),
      '@type': 'dpv:Purpose',
      'skos:broader': marketing ? 'dpv:DirectMarketing' : undefined,
      'dct:identifier': purpose.key,
      'dct:hasVersion': String(purpose.revision),
      'dct:title': purpose.texts['en'] ?? Object.values(purpose.texts)[0],
    }),
    'dpv:hasPersonalData': some(
      dataCategories.map((title) => ({ '@type': 'dpv:PersonalData', 'dct:title': title })),
    ),
    'dpv:hasProcessing': ['dpv:Collect', 'dpv:Store', 'dpv:Use'] satisfies DpvTerm[],
    'dpv:hasLegalBasis': explicitConsent ? ['eu-gdpr:A6-1-a', 'eu-gdpr:A9-2-a'] : 'eu-gdpr:A6-1-a',
    'dpv:hasDataController': some(controllers.map(({ key }) => partyOf(key))),
    'dpv:hasRecipient': some(
      recipients.map((name) => ({ '@type': 'dpv:Recipient', 'dpv:hasName': name })),
    ),
    'dpv:hasStorageCondition': retention && [
      { '@type': 'dpv:StorageDuration', 'dpv:hasDuration': lasting(retention) },
    ],
    'dpv:hasConsentControl': without({
      '@type': 'dpv:WithdrawConsent',
      'dpv:isExercisedAt': contact,
    }),
    'dpv:hasRight': RIGHTS.map((right) => ({ '@type': ['dpv:DataSubjectRight', right] })),
  });
}

const RIGHTS = [
  'eu-gdpr:A7-3',
  'eu-gdpr:A15',
  'eu-gdpr:A16',
  'eu-gdpr:A17',
  'eu-gdpr:A18',
  'eu-gdpr:A20',
  'eu-gdpr:A21',
  'eu-gdpr:A77',
] as const satisfies DpvTerm[];

function statusOf(
  { status, since, until, event: { id } }: ConsentState,
  { explicitConsent }: PurposeDefinition,
  events: ReadonlyMap<string, Recorded>,
  controllers: readonly Controller[],
): Node {
  const event = events.get(id);
  const type = termOf(status, event?.type);
  const valid = type === 'dpv:ConsentGiven' || type === 'dpv:RenewedConsentGiven';
  const expression = explicitConsent ? 'dpv:ExplicitlyExpressedConsent' : 'dpv:ExpressedConsent';
  return without({
    '@type': valid ? [type, expression] : type,
    'dpv:isIndicatedBy': indicatedBy(status, event, controllers),
    'dpv:isIndicatedAtTime': since,
    'dpv:hasIndicationMethod': event && methodOf(event),
    'dpv:hasDuration':
      valid && until ? { '@type': 'dpv:UntilTimeDuration', 'rdf:value': until } : undefined,
    'dct:source': id,
  });
}

/**
 * A grant that does not count is not called given: one that waits for its confirmation is still asked for,
 * one that lacks the evidence it needs is unknown.
 */
function termOf(status: ConsentStatus, eventType: string | undefined): DpvTerm {
  switch (status) {
    case 'given':
      return eventType === 'ConsentRenewed' ? 'dpv:RenewedConsentGiven' : 'dpv:ConsentGiven';
    case 'requested':
    case 'confirmation-pending':
      return 'dpv:ConsentRequested';
    case 'refused':
      return 'dpv:ConsentRefused';
    case 'withdrawn':
      return 'dpv:ConsentWithdrawn';
    case 'expired':
      return 'dpv:ConsentExpired';
    case 'invalidated':
      return 'dpv:ConsentInvalidated';
    case 'evidence-missing':
    case 'unknown':
      return 'dpv:ConsentUnknown';
  }
}

/** Who made the declaration. That a term ends, or that consent is asked for, is the controller's to say. */
function indicatedBy(
  status: ConsentStatus,
  event: Recorded | undefined,
  controllers: readonly Controller[],
): string | undefined {
  const [controller] = controllers;
  const byController = controller ? partyOf(controller.key) : ('dpv:DataController' as const);
  if (['requested', 'expired', 'invalidated', 'unknown'].includes(status)) return byController;
  switch (event?.declaredBy?.kind) {
    case 'guardian':
      return 'dpv:GuardianOfDataSubject';
    case 'representative':
      return 'dpv:Representative';
    case 'officer':
      return byController;
    case 'subject':
    case undefined:
      return 'dpv:DataSubject';
  }
}

/** How it was said, in the ledger's codes: source, point of collection, means of confirmation. */
function methodOf({ source, data }: Recorded): string {
  const { collectionPoint, confirmation } = data as {
    collectionPoint?: string;
    confirmation?: { method: string };
  };
  return [source, collectionPoint, confirmation?.method].filter(Boolean).join(', ');
}

function noticesIn(events: readonly Recorded[]): Node[] {
  const shown = new Map<string, NoticeShown>();
  for (const { data } of events) {
    const { notice } = data as { notice?: NoticeShown };
    if (notice) shown.set(`${notice.id} ${notice.version} ${notice.language}`, notice);
  }
  return [...shown.values()].map(({ id, version, language, hash }) =>
    without({
      '@id': urnOf(id),
      '@type': 'dpv:ConsentNotice',
      'dct:hasVersion': String(version),
      'dct:language': language,
      'schema:sha256': hash,
    }),
  );
}

function receiptsOf({ subjectId, consents, events, controllers, uuidOf }: RecordsInput): Node[] {
  const found = new Map<
    ReceiptId,
    { created: Instant; purposes: Set<ConsentOfPerson['purpose']> }
  >();
  const byKey = new Map(consents.map(({ purpose }) => [purpose.key, purpose]));
  for (const { type, data, interactionId, recordedAt } of events) {
    const purpose = byKey.get((data as { purpose?: string }).purpose ?? '');
    if (!purpose || !type.startsWith('Consent')) continue;
    const known = found.get(interactionId) ?? { created: recordedAt, purposes: new Set() };
    found.set(interactionId, { ...known, purposes: known.purposes.add(purpose) });
  }
  return [...found].map(([receiptId, { created, purposes }]) => {
    const id = uuidOf(`receipt ${receiptId}`);
    const keys = [...purposes].flatMap((purpose) => purpose.controllers);
    const publishers = controllers.filter(({ key }) => keys.includes(key));
    return without({
      '@id': `urn:uuid:${id}`,
      '@type': 'dpv:ConsentReceipt',
      'dct:identifier': id,
      'dpv:hasIdentifier': id,
      'dct:created': created,
      'dct:publisher': some(publishers.map(({ key }) => partyOf(key))),
      'schema:recipient': urnOf(subjectId),
      'dct:source': receiptId,
      'dpv:hasRecordOfActivity': [...purposes].map(({ purposeId }) => ({
        '@id': `urn:uuid:${uuidOf(`record ${subjectId} ${purposeId}`)}`,
      })),
    });
  });
}

function entityOf({ key, name, contact }: Controller): Node {
  return without({
    '@id': partyOf(key),
    '@type': 'dpv:DataController',
    'dpv:hasIdentifier': key,
    'dpv:hasName': name,
    'dpv:hasContact': contact,
  });
}

/** Controllers have keys of the organisation's own; the name is theirs within one ledger only. */
function partyOf(key: string): string {
  return `urn:consent-ledger:controller:${key}`;
}

function lasting(period: string): Node {
  return { '@type': 'dpv:TemporalDuration', 'rdf:value': period };
}

function urnOf(id: string): string {
  return `urn:uuid:${id.slice(id.indexOf('_') + 1)}`;
}

function some(nodes: readonly (string | Node)[]): readonly (string | Node)[] | undefined {
  return nodes.length === 0 ? undefined : nodes;
}

function without(node: { readonly [Term in keyof Node]: Node[Term] | undefined }): Node {
  return Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined));
}
