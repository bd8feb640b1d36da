import { sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { categoryOf, ownerOf } from '#core/kernel/ids.js';
import type { Projection, ProjectionContext } from '#core/projector/projection.js';
import type { ConsentEvent } from '#domains/consents/domain/consents.events.js';
import type { ErasureEvent } from '#domains/erasure/domain/erasure.events.js';
import type { PreferenceEvent } from '#domains/preferences/domain/preferences.events.js';
import type { SubjectEvent } from '#domains/subjects/domain/subjects.events.js';
import type { PersonalDataViewed } from '../domain/access.events.js';

/**
 * The read model of who did and who saw what: a row for every look at personal data, every change of the
 * catalogue, of keys and roles, every step of an erasure or restriction, and whatever an officer did. Ids,
 * codes and times only; nothing of what was seen.
 */

type PersonEventType = (SubjectEvent | ConsentEvent | PreferenceEvent | ErasureEvent)['type'];

/** Whether an event in a person's stream is an act to account for, whoever's it was. */
const ACCOUNTED: Readonly<Record<PersonEventType, boolean>> = {
  SubjectRegistered: false,
  ContactPointAdded: true,
  ContactPointRemoved: true,
  ContactPointVerified: true,
  SubjectRectified: true,
  ProcessingRestricted: true,
  RestrictionLifted: true,
  // What a person says themselves is in their timeline.
  ConsentRequested: false,
  ConsentGiven: false,
  ConsentConfirmed: false,
  ConsentRefused: false,
  ConsentWithdrawn: false,
  ConsentRenewed: false,
  ConsentExpired: false,
  ConsentInvalidated: true,
  LegalBasisEstablished: true,
  LegalBasisChanged: true,
  LegalBasisEnded: true,
  BasisSwapRefused: true,
  ObjectionRaised: false,
  ObjectionUpheldAgainst: true,
  ObjectionWithdrawn: false,
  TopicSwitchedOn: false,
  TopicSwitchedOff: false,
  ErasureRequested: true,
  ErasureRefused: true,
  ErasureApproved: true,
  KeyDestroyed: true,
  ErasureCompleted: true,
};

export class AuditTrailProjection implements Projection {
  readonly name = 'audit-trail';
  readonly version = 1;
  /** Read from its newest row on: there is one end to read from. */
  readonly partitions = 1;
  readonly categories = [
    'access',
    'key',
    'user',
    'purpose',
    'notice',
    'topic',
    'settings',
    'subject',
  ];
  readonly concerns = isAccountedFor;

  async create(tx: Transaction<unknown>): Promise<void> {
    await sql`create table audit_trail (
      position bigint not null, event_id text collate "C" not null,
      recorded_at timestamptz(3) not null,
      actor_kind text collate "C" not null, actor_id text collate "C" not null,
      action text collate "C" not null, target text collate "C", purpose text collate "C",
      primary key (position))`.execute(tx);
    // The ledger's time never decreases along positions: in the order of both, every filter and every
    // span of time is one stretch of an index.
    for (const [name, columns] of [
      ['time', sql``],
      ['actor', sql`actor_id,`],
      ['action', sql`action,`],
      ['target', sql`target,`],
    ] as const)
      await sql`create index ${sql.ref(`audit_trail_by_${name}`)}
        on audit_trail (${columns} recorded_at, position)`.execute(tx);
  }

  async apply(batch: readonly Recorded[], { tx }: ProjectionContext): Promise<void> {
    const rows = batch.filter(isAccountedFor);
    if (rows.length === 0) return;
    await sql`
      insert into audit_trail (position, event_id, recorded_at, actor_kind, actor_id, action, target, purpose)
      select * from unnest(${rows.map((e) => e.position)}::bigint[], ${rows.map((e) => e.id)}::text[],
        ${rows.map((e) => e.recordedAt)}::timestamptz[], ${rows.map((e) => e.actor.kind)}::text[],
        ${rows.map((e) => e.actor.id)}::text[], ${rows.map((e) => e.type)}::text[],
        ${rows.map(targetOf)}::text[], ${rows.map(purposeOf)}::text[])`.execute(tx);
  }
}

/** Whether an event has a row. A type that a newer part of the ledger added to people's streams has one too. */
function isAccountedFor({ stream, type, actor }: Recorded): boolean {
  if (categoryOf(stream) !== 'subject' || actor.kind === 'officer') return true;
  return (ACCOUNTED as Readonly<Record<string, boolean>>)[type] ?? true;
}

/** Whom or what it was done to: the person who was seen, or whoever's stream it is. */
function targetOf(event: Recorded): string | undefined {
  if (event.type !== 'PersonalDataViewed') return ownerOf(event.stream);
  return (event as Recorded<PersonalDataViewed>).data.subjectId;
}

/** The purpose that it was about, where it was about one. */
function purposeOf({ stream, data }: Recorded): string | undefined {
  const { purpose, key } = data as { purpose?: unknown; key?: unknown };
  if (typeof purpose === 'string') return purpose;
  return categoryOf(stream) === 'purpose' && typeof key === 'string' ? key : undefined;
}
