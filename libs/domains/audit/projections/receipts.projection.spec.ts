import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, type ReceiptId, type StreamName, streamOf } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { recorded, rowsEqualFold } from '#core/kernel/spec.js';
import { kyselyOn, openPool } from '#core/platform/database.js';
import { project, rowsOf } from '#core/projector/spec.js';
import { type FreshDatabase, freshDatabase } from '../../../../test/support/database.js';
import { placeOfReceipt, ReceiptsProjection } from './receipts.projection.js';

let database: FreshDatabase;
let db: Kysely<unknown>;
beforeAll(async () => {
  database = await freshDatabase();
  const pool = openPool({
    connectionString: database.url,
    applicationName: 'receipts spec',
    onError: () => undefined,
  });
  db = kyselyOn(pool);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const uuid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const receipt = (n: number) => `rcp_${uuid(n)}` as ReceiptId;
const person = (n: number) => streamOf('subject', `sub_${uuid(n)}`);

/** A log in which each event is `[stream, receipt]`. */
function log(...events: readonly (readonly [StreamName, ReceiptId])[]): Recorded[] {
  const revisions = new Map<StreamName, number>();
  return events.map(([stream, interactionId], index) => {
    const revision = revisions.get(stream) ?? 0;
    revisions.set(stream, revision + 1);
    const place = { stream, revision, interactionId, position: String(index + 1) as Position };
    return recorded({ type: 'ConsentRequested', data: {} }, index, place);
  });
}

interface Row {
  receipt: string;
  subject: string;
  first_revision: number;
  last_revision: number;
  position: string;
}

/** What the rows must be: a fold of the log, written in the simplest way. */
function folded(events: readonly Recorded[]): Row[] {
  const receipts = [...new Set(events.map(({ interactionId }) => interactionId))];
  return receipts.map((id) => {
    const all = events.filter(({ interactionId }) => interactionId === id);
    const mine = all.filter(({ stream }) => stream === all[0]?.stream);
    const [first, last] = [mine[0] as Recorded, mine.at(-1) as Recorded];
    return {
      receipt: id.slice(4),
      subject: ownerOf(first.stream).slice(4),
      first_revision: first.revision,
      last_revision: last.revision,
      position: last.position,
    };
  });
}

const events = log(
  [person(1), receipt(1)],
  [person(1), receipt(1)],
  [person(2), receipt(2)],
  [person(1), receipt(3)],
  [streamOf('purpose', 'pur_x'), receipt(4)],
  // In several parts, with another in between.
  [person(2), receipt(5)],
  [person(2), receipt(6)],
  [person(2), receipt(5)],
  // In a second stream: the first one keeps it.
  [person(3), receipt(3)],
  [person(1), receipt(7)],
);

describe('receipts', () => {
  it.each([1, 2, 3, events.length])(
    'are the fold of the log, %i events at a time',
    async (size) => {
      const rows = await project(db, new ReceiptsProjection(), events, rowsOf<Row>('receipts'), {
        batches: size,
      });
      const ofPeople = events.filter(({ stream }) => stream.startsWith('subject-'));
      rowsEqualFold(rows, folded(ofPeople));
      expect(rows).toHaveLength(6);
    },
  );

  it('tell where the events of one are', async () => {
    await sql`create schema read_models`.execute(db);
    await db.transaction().execute(async (tx) => {
      await sql`set local search_path = read_models`.execute(tx);
      const projection = new ReceiptsProjection();
      await projection.create(tx);
      const ofPeople = events.filter(({ stream }) => stream.startsWith('subject-'));
      const readStreams = () => Promise.resolve(new Map());
      await projection.apply(ofPeople, { tx, partitions: [0], readStreams });
    });
    expect(await placeOfReceipt(db, receipt(5))).toEqual({
      subjectId: ownerOf(person(2)),
      firstRevision: 1,
      lastRevision: 3,
    });
    expect(await placeOfReceipt(db, receipt(99))).toBeUndefined();
  });
});
