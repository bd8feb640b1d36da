/**
 * One representative event of every type, with every field that there is, as a command writes it: personal
 * fields in the clear. A golden file is made from it once, and read for ever.
 */
import { createHash } from 'node:crypto';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import type {
  ApiKeyId,
  ContactPointId,
  EventId,
  Id,
  NoticeId,
  OperationId,
  ReceiptId,
  SubjectId,
} from '#core/kernel/ids.js';
import { streamOf } from '#core/kernel/ids.js';
import type { Instant, Period } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { Codec, type Draft } from '#core/ledger/codec.js';
import type { LedgerEvent } from '#core/ledger/ledger.events.js';
import { HeldKey } from '#core/vault/data-key.js';
import type { KeyId, KeyOwner, Vault } from '#core/vault/port.js';
import type { AccessEvent } from '#domains/access/domain/access.events.js';
import type { ConsentEvent } from '#domains/consents/domain/consents.events.js';
import type { ErasureEvent } from '#domains/erasure/domain/erasure.events.js';
import type { PreferenceEvent } from '#domains/preferences/domain/preferences.events.js';
import type {
  PurposeDefinition,
  PurposeEvent,
  PurposeId,
  TopicId,
} from '#domains/purposes/domain/purposes.events.js';
import type { SubjectEvent } from '#domains/subjects/domain/subjects.events.js';

type AnyEvent =
  | LedgerEvent
  | AccessEvent
  | ConsentEvent
  | ErasureEvent
  | PreferenceEvent
  | PurposeEvent
  | SubjectEvent;

type Samples = {
  readonly [T in AnyEvent['type']]: Extract<AnyEvent, { type: T }>['data'];
};

const uuid = (n: number) => `01983c5e-8a00-7c3e-9d51-${String(n).padStart(12, '0')}`;
const derived = (n: number) => `01983c5e-8a00-8c3e-9d51-${String(n).padStart(12, '0')}`;

export const RECORDED_AT = '2026-03-01T12:00:00.123Z' as Instant;
const EARLIER = '2026-02-27T08:30:00.000Z' as Instant;
const LATER = '2028-02-29T23:59:59.999Z' as Instant;

const subjectId = `sub_${derived(1)}` as SubjectId;
const contactPointId = `cpt_${derived(2)}` as ContactPointId;
const operationId = `op_${derived(3)}` as OperationId;
const keyId = `key_${derived(4)}` as ApiKeyId;
const userId = `usr_${uuid(5)}` as Id<'usr'>;
const purposeId = `pur_${derived(6)}` as PurposeId;
const topicId = `tpc_${derived(7)}` as TopicId;
const noticeId = `ntc_${derived(8)}` as NoticeId;
const grant = `evt_${uuid(9)}` as EventId;

const testimony = {
  collectionPoint: 'shop-berlin-1',
  // Keys out of order, numbers and texts that JSON writers disagree about.
  evidence: {
    url: 'https://example.org/?q=ä',
    'form-id': 7,
    a: 1e21,
    b: 0.000001,
    c: '€ 😀 \u2028',
  },
  comment: 'Said "yes" at the counter.\nLine two.',
} as const;
const about = { purpose: 'newsletter', purposeRevision: 3, ...testimony };
const notice = {
  id: noticeId,
  version: 2,
  language: 'de',
  hash: 'ab'.repeat(32),
};
const confirmation = { method: 'double-opt-in', at: LATER } as const;
const reference = 'Kundenvertrag 4711, § 5';
const assessment = 'Abwägung vom 3. Februar 2026';

const definition: PurposeDefinition = {
  key: 'newsletter',
  texts: { en: 'Newsletter', de: 'Rundbrief' },
  controllers: ['nordwind'],
  marketing: true,
  allowedBases: ['consent', 'legitimate-interests'],
  channels: ['email', 'post'],
  minimumEvidence: 'notice',
  doubleOptIn: true,
  explicitConsent: false,
  expiresAfter: 'P24M' as Period,
  retention: 'P3Y' as Period,
  dataCategories: ['contact'],
  recipients: ['mailer'],
};

export const SAMPLES: Samples = {
  LedgerCreated: { ledgerId: `led_${uuid(10)}` as Id<'led'> },
  LedgerMoved: {
    era: 1,
    from: 'postgres',
    to: 'kurrentdb',
    events: 4711,
    digest: 'ab'.repeat(32),
    positionsFrom: '10000000000000000' as Position,
  },

  HistoryLost: {
    origin: 'ledger.example/consents',
    size: 1_204,
    root: 'NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=',
    continuesAs: 'ledger.example/consents/2',
  },

  PersonalDataViewed: {
    viewed: 'audience',
    subjectId,
    purpose: 'newsletter',
    topic: 'weekly',
    channel: 'email',
    asOf: EARLIER,
    knownAt: '77' as Position,
    included: ['contactPoints'],
  },
  RoleGranted: { userId, role: 'auditor', expiresAt: LATER },
  RoleRevoked: { userId, role: 'auditor' },
  ApiKeyIssued: {
    keyId,
    name: 'The till in Berlin',
    role: 'service',
    scopes: ['choices:write', 'decisions:read'],
    secretHash: 'cd'.repeat(32),
    expiresAt: LATER,
  },
  ApiKeyRevoked: { keyId },

  SubjectRegistered: {
    subjectId,
    collection: { from: 'third-party', collectedAt: EARLIER },
    origin: 'Messe Leipzig',
    language: 'de',
    name: 'Ada Löwenherz',
    externalRefs: [{ system: 'crm', id: 'C-0007' }],
  },
  ContactPointAdded: {
    contactPointId,
    kind: 'email',
    value: 'ada@example.org',
  },
  ContactPointRemoved: { contactPointId, kind: 'email' },
  ContactPointVerified: { contactPointId, kind: 'email' },
  SubjectRectified: { name: 'Ada Löwenherz', language: 'en' },
  ProcessingRestricted: {
    ground: 'accuracy-contested',
    purposes: ['newsletter'],
    note: 'Letter of the 3rd',
  },
  RestrictionLifted: { note: 'Settled' },

  ConsentRequested: about,
  ConsentGiven: {
    ...about,
    notice,
    noticeEvidence: 'complete',
    confirmation,
    expiresAt: LATER,
  },
  ConsentConfirmed: {
    ...about,
    confirmation: { ...confirmation, method: 'signed-form' },
    expiresAt: LATER,
  },
  ConsentRefused: { ...about, notice },
  ConsentWithdrawn: about,
  ConsentRenewed: { ...about, notice, expiresAt: LATER },
  ConsentExpired: { purpose: 'newsletter', grant },
  ConsentInvalidated: { ...about, grant },
  LegalBasisEstablished: {
    ...about,
    basis: 'legitimate-interests',
    status: 'asserted',
    reference,
    assessment,
    validUntil: LATER,
  },
  LegalBasisChanged: {
    ...about,
    basis: 'contract',
    status: 'established',
    reference,
    assessment,
    validUntil: LATER,
  },
  LegalBasisEnded: { ...about, basis: 'contract', reference },
  BasisSwapRefused: { ...about, basis: 'contract', reference },
  ObjectionRaised: { scope: 'purpose', purpose: 'newsletter', ...testimony },
  ObjectionUpheldAgainst: {
    ...about,
    basis: 'legitimate-interests',
    reference,
    assessment,
  },
  ObjectionWithdrawn: { scope: 'marketing', ...testimony },

  TopicSwitchedOn: { topic: 'weekly', channel: 'email', ...testimony },
  TopicSwitchedOff: { topic: 'weekly', channel: 'email', ...testimony },

  ErasureRequested: {
    operationId,
    ground: 'consent-withdrawn',
    note: 'By telephone',
    dutiesToRetain: ['invoices'],
  },
  ErasureRefused: { operationId, reason: 'legal-claims', note: 'Case 7' },
  ErasureApproved: { operationId },
  KeyDestroyed: {
    operationId,
    keyIds: ['00112233445566778899aabbccddeeff'],
    destroyedAt: EARLIER,
    epoch: 7,
  },
  ErasureCompleted: {
    operationId,
    passed: '12345678901234567' as Position,
    unreadableSince: EARLIER,
    epoch: 7,
    kept: ['purposes', 'times'],
  },

  PurposeDefined: { purposeId, ...definition },
  PurposeRevised: { purposeId, ...definition },
  PurposeRetired: { purposeId, key: 'newsletter' },
  NoticePublished: {
    noticeId,
    purpose: 'newsletter',
    kind: 'consent',
    version: 2,
    language: 'de',
    text: 'Ich möchte den Rundbrief erhalten.',
    hash: 'ab'.repeat(32),
    publishedAt: EARLIER,
  },
  TopicDefined: {
    topicId,
    key: 'weekly',
    purpose: 'newsletter',
    unset: 'follows-purpose',
    texts: { de: 'Jede Woche' },
  },
  TopicRetired: { topicId, key: 'weekly' },
  SettingsChanged: {
    controllers: [{ key: 'nordwind', name: 'Nordwind GmbH', contact: 'dpo@example.org' }],
    sources: ['officer', 'web-form'],
    defaultBases: [
      {
        purpose: 'newsletter',
        basis: 'legitimate-interests',
        status: 'asserted',
        reference: '§ 7 (3) UWG',
        assessment,
      },
    ],
  },
};

/** Where golden events lie: in one stream, as its first. */
export const STREAM = streamOf('golden', subjectId);

/** An envelope with every field that there is. */
export function draftOf(type: keyof Samples): Draft {
  return {
    id: `evt_${uuid(11)}` as EventId,
    type,
    stream: STREAM,
    occurredAt: EARLIER,
    receivedAt: '2026-02-28T09:00:00.000Z' as Instant,
    actor: { kind: 'officer', id: userId },
    declaredBy: { kind: 'guardian', assurance: 'signed' },
    source: 'customer-portal',
    provenance: { importId: `imp_${uuid(12)}`, line: 4711 },
    interactionId: `rcp_${derived(13)}` as ReceiptId,
    correlationId: '4bf92f3577b34da6a3ce929d0e0e4736',
    causationId: '00f067aa0ba902b7',
    salt: 'q3J0u1m5Zy8nT4w7RkXcVg',
    data: SAMPLES[type],
  };
}

/** Keys that anybody can derive again: what is sealed here is read for ever, and no secret. */
function goldenKey(id: KeyId): HeldKey {
  return new HeldKey(id, createHash('sha256').update(`golden ${id}`).digest());
}

function keyIdOf({ owner, compartment }: KeyOwner): KeyId {
  const digest = createHash('sha256').update(`${owner} ${compartment}`).digest('hex');
  return digest.slice(0, 32) as KeyId;
}

const KEYS: Pick<Vault, 'keysFor' | 'open'> = {
  keysFor: (wanted) => Promise.resolve(wanted.map((one) => goldenKey(keyIdOf(one)))),
  open: (ids) => Promise.resolve(new Map(ids.map((id) => [id, goldenKey(id)]))),
};

export const goldenCodec = (catalogue: EventCatalogue) => new Codec(catalogue, KEYS);
