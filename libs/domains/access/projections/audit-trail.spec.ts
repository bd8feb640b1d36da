import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import type { Fact, Recorded } from '#core/kernel/event.js';
import { newId, type StreamName, streamOf } from '#core/kernel/ids.js';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { recorded } from '#core/kernel/spec.js';
import { kyselyOn, openPool } from '#core/platform/database.js';
import { migrate } from '#core/platform/migrate.js';
import { migrations } from '#core/projector/migrations.js';
import { project, rowsOf } from '#core/projector/spec.js';
import { type FreshDatabase, freshDatabase } from '../../../../test/support/database.js';
import { AuditTrailProjection } from './audit-trail.projection.js';
import { type AuditFilter, type AuditPlace, findAuditEvents } from './audit-trail.questions.js';

const officer = { kind: 'officer', id: 'key_officer' } as const;
const service = { kind: 'service', id: 'key_service' } as const;
const subjectId = 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001';
const person = streamOf('subject', subjectId);

let log: Recorded[] = [];

/** Adds an event to the log, a minute after the one before. */
function record(
  stream: StreamName,
  type: string,
  data: object = {},
  actor: Recorded['actor'] = service,
): Recorded {
  const n = log.length;
  const at = instantOf(Date.UTC(2026, 2, 1, 12, n)) as Instant;
  const event = recorded({ type, data } as Fact, n, {
    id: newId('evt'),
    stream,
    actor,
    occurredAt: at,
    recordedAt: at,
    position: String(n + 1) as Position,
  });
  log = [...log, event];
  return event;
}

let database: FreshDatabase;
let db: Kysely<unknown>;

beforeAll(async () => {
  database = await freshDatabase();
  const pool = openPool({
    connectionString: database.url,
    applicationName: 'audit trail spec',
    onError: () => undefined,
  });
  db = kyselyOn(pool);
  await migrate(db, { projector: migrations });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

describe('the audit trail', () => {
  it('accounts for what must be accounted for, and for nothing else', async () => {
    log = [];
    const accounted = [
      record(streamOf('access', '2026-03-01-x'), 'PersonalDataViewed', {
        viewed: 'subject',
        subjectId,
      }),
      record(streamOf('access', '2026-03-01-y'), 'PersonalDataViewed', {
        viewed: 'audience',
        purpose: 'newsletter',
      }),
      record(streamOf('key', 'key_1'), 'ApiKeyIssued'),
      record(streamOf('purpose', 'pur_1'), 'PurposeDefined', { key: 'newsletter' }),
      record(streamOf('notice', 'ntc_1'), 'NoticePublished', { purpose: 'newsletter' }),
      record(streamOf('topic', 'tpc_1'), 'TopicDefined', { key: 'news', purpose: 'newsletter' }),
      record(streamOf('settings', 'sources'), 'SettingsChanged'),
      record(person, 'LegalBasisEstablished', { purpose: 'orders' }),
      record(person, 'BasisSwapRefused', { purpose: 'orders' }),
      record(person, 'ProcessingRestricted'),
      record(person, 'ContactPointAdded', { value: { sealed: 'x' } }),
      record(person, 'SubjectRectified', { name: { sealed: 'x' } }),
      record(person, 'ErasureRequested'),
      record(person, 'KeyDestroyed'),
      record(person, 'ConsentGiven', { purpose: 'newsletter' }, officer),
      record(person, 'SubjectRegistered', { name: { sealed: 'x' } }, officer),
      record(person, 'SomethingOfALaterVersion'),
    ];
    record(person, 'ConsentGiven', { purpose: 'newsletter' });
    record(person, 'TopicSwitchedOn', {}, { kind: 'subject', id: subjectId });
    record(person, 'SubjectRegistered');
    record(person, 'ConsentExpired', {}, { kind: 'system', id: 'expiry' });
    record(streamOf('ledger', 'origin'), 'LedgerCreated');

    const read = rowsOf<{ position: string; target: string | null; purpose: string | null }>(
      'audit_trail',
    );
    for (const batches of [1, 5, 100]) {
      const rows = await project(db, new AuditTrailProjection(), log, read, { batches });
      expect(rows).toHaveLength(accounted.length);
      expect(rows[0]).toMatchObject({
        position: '1',
        event_id: accounted[0]?.id,
        actor_kind: 'service',
        actor_id: 'key_service',
        action: 'PersonalDataViewed',
        target: subjectId,
        purpose: null,
      });
      expect(rows.map(({ target, purpose }) => [target, purpose]).slice(1, 8)).toEqual([
        [null, 'newsletter'],
        ['key_1', null],
        ['pur_1', 'newsletter'],
        ['ntc_1', 'newsletter'],
        ['tpc_1', 'newsletter'],
        ['sources', null],
        [subjectId, 'orders'],
      ]);
      expect(JSON.stringify(rows)).not.toContain('sealed');
    }
  });

  it('is asked by actor, action, target and time, the newest first, page by page', async () => {
    log = [];
    for (let n = 0; n < 30; n++)
      record(
        streamOf('key', `key_${n % 3}`),
        n % 2 ? 'ApiKeyRevoked' : 'ApiKeyIssued',
        {},
        n % 5 ? service : officer,
      );
    const projection = new AuditTrailProjection();
    await db.transaction().execute(async (tx) => {
      await sql`set local search_path = read_models`.execute(tx);
      await projection.create(tx);
      await projection.apply(log, {
        tx,
        partitions: [0],
        readStreams: () => Promise.resolve(new Map()),
      });
      await sql`insert into projector.checkpoints (name, kind, position) values ('audit-trail', 'projection', 77)`.execute(
        tx,
      );
    });
    const find = async (filter: AuditFilter, after?: AuditPlace, limit = 100) => {
      const { events, position } = await findAuditEvents(db, filter, after, limit);
      expect(position).toBe('77');
      return events;
    };
    const positions = async (filter: AuditFilter) =>
      (await find(filter)).map(({ position }) => Number(position));
    const expected = (matches: (event: Recorded) => boolean) =>
      log
        .filter(matches)
        .map(({ position }) => Number(position))
        .reverse();

    expect(await positions({})).toEqual(expected(() => true));
    expect(await positions({ actor: 'key_officer' })).toEqual(
      expected(({ actor }) => actor.id === 'key_officer'),
    );
    expect(await positions({ action: 'ApiKeyRevoked', target: 'key_1' })).toEqual(
      expected(
        ({ type, stream }) => type === 'ApiKeyRevoked' && stream === streamOf('key', 'key_1'),
      ),
    );
    const [from, to] = [log[10]?.recordedAt, log[20]?.recordedAt] as [Instant, Instant];
    expect(await positions({ from, to })).toEqual(
      expected(({ recordedAt }) => recordedAt >= from && recordedAt < to),
    );
    expect(await positions({ actor: 'nobody' })).toEqual([]);

    const found: number[] = [];
    for (let after: AuditPlace | undefined; ;) {
      const page = await find({ from }, after, 7);
      found.push(...page.map(({ position }) => Number(position)));
      after = page.at(-1);
      if (page.length < 7) break;
    }
    expect(found).toEqual(await positions({ from }));
    expect((await find({}, undefined, 1))[0]).toEqual({
      position: '30',
      eventId: log[29]?.id,
      recordedAt: log[29]?.recordedAt,
      actor: service,
      action: 'ApiKeyRevoked',
      target: 'key_2',
      purpose: undefined,
    });
  });

  it('tells how far it has come although nothing is found', async () => {
    const { events, position } = await findAuditEvents(db, { target: 'nobody' }, undefined, 10);
    expect(events).toEqual([]);
    expect(position).toBe('77');
  });
});
