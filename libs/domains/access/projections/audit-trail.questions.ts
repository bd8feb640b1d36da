import { type Kysely, sql } from 'kysely';
import type { EventId } from '#core/kernel/ids.js';
import { BEGINNING, END_OF_TIME, type Instant, instantOf } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';

/** The questions that the read model `audit_trail` answers. No other file reads its table. */

export type Database = Kysely<unknown>;

export interface AuditFilter {
  /** The actor's id. */
  readonly actor?: string;
  /** The event's type. */
  readonly action?: string;
  readonly target?: string;
  /** At or after. */
  readonly from?: Instant;
  /** Before. */
  readonly to?: Instant;
}

/** The last row of the page before. */
export interface AuditPlace {
  readonly recordedAt: Instant;
  readonly position: Position;
}

export interface AuditEvent {
  readonly position: Position;
  readonly eventId: EventId;
  readonly recordedAt: Instant;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly action: string;
  readonly target?: string;
  readonly purpose?: string;
}

export interface AuditEvents {
  readonly events: readonly AuditEvent[];
  /** How far the read model had come. */
  readonly position: Position;
}

interface Row {
  readonly position: Position;
  readonly event_id: EventId | null;
  readonly recorded_at: Date;
  readonly actor_kind: string;
  readonly actor_id: string;
  readonly action: string;
  readonly target: string | null;
  readonly purpose: string | null;
  readonly known: Position | null;
}

/** Up to `limit` rows, the newest first, in one statement with how far the read model has come. */
export async function findAuditEvents(
  database: Database,
  { actor, action, target, from, to }: AuditFilter,
  after: AuditPlace | undefined,
  limit: number,
): Promise<AuditEvents> {
  const { rows } = await sql<Row>`
    select found.*, c.position as known
    from (select 1) as one
    left join projector.checkpoints c on c.name = 'audit-trail'
    left join lateral (
      select position, event_id, recorded_at, actor_kind, actor_id, action, target, purpose
      from read_models.audit_trail
      where recorded_at >= ${from ?? BEGINNING}::timestamptz
        and recorded_at < ${to ?? END_OF_TIME}::timestamptz
        ${actor === undefined ? sql`` : sql`and actor_id = ${actor}`}
        ${action === undefined ? sql`` : sql`and action = ${action}`}
        ${target === undefined ? sql`` : sql`and target = ${target}`}
        ${after ? sql`and (recorded_at, position) < (${after.recordedAt}::timestamptz, ${after.position}::bigint)` : sql``}
      order by recorded_at desc, position desc
      limit ${limit}) as found on true
    order by found.recorded_at desc, found.position desc`.execute(database);
  return {
    events: rows.filter(({ event_id }) => event_id !== null).map(eventOf),
    position: rows[0]?.known ?? START,
  };
}

function eventOf(row: Row): AuditEvent {
  return {
    position: row.position,
    eventId: row.event_id as EventId,
    recordedAt: instantOf(row.recorded_at.getTime()),
    actor: { kind: row.actor_kind, id: row.actor_id },
    action: row.action,
    target: row.target ?? undefined,
    purpose: row.purpose ?? undefined,
  };
}
