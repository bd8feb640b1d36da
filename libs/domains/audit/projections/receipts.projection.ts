import { type Kysely, sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, type ReceiptId, type SubjectId } from '#core/kernel/ids.js';
import type { Projection, ProjectionContext } from '#core/projector/projection.js';

/** Whose stream holds the events of an interaction, and between which revisions. */
export interface ReceiptPlace {
  readonly subjectId: SubjectId;
  readonly firstRevision: number;
  readonly lastRevision: number;
}

interface Row {
  readonly receipt: string;
  readonly subject: string;
  readonly first_revision: number;
  last_revision: number;
  position: string;
}

/** Finds the stream that a receipt's events are in. What the receipt says stands there. */
export class ReceiptsProjection implements Projection {
  readonly name = 'receipts';
  readonly version = 1;
  readonly categories = ['subject'];
  /** Which stream keeps an interaction's id is decided between streams. */
  readonly partitions = 1;

  // Ids without their prefix: a row for every interaction there ever was, so its size counts.
  async create(tx: Transaction<unknown>): Promise<void> {
    await sql`create table receipts (
      receipt uuid primary key, subject uuid not null,
      first_revision int not null, last_revision int not null, position bigint not null)`.execute(
      tx,
    );
  }

  async apply(batch: readonly Recorded[], { tx }: ProjectionContext): Promise<void> {
    const rows = [...rowsOf(batch).values()];
    // An interaction is with one person: should its id turn up in a second stream, the first one keeps it.
    await sql`
      insert into receipts (receipt, subject, first_revision, last_revision, position)
      select * from unnest(
        ${rows.map((row) => row.receipt)}::uuid[], ${rows.map((row) => row.subject)}::uuid[],
        ${rows.map((row) => row.first_revision)}::int[],
        ${rows.map((row) => row.last_revision)}::int[], ${rows.map((row) => row.position)}::bigint[])
      on conflict (receipt) do update
        set last_revision = excluded.last_revision, position = excluded.position
        where receipts.subject = excluded.subject`.execute(tx);
  }
}

/** One row for every interaction of the batch. */
function rowsOf(batch: readonly Recorded[]): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const { interactionId, stream, revision, position } of batch) {
    const [receipt, subject] = [uuidOf(interactionId), uuidOf(ownerOf(stream))];
    const known = rows.get(receipt);
    if (known?.subject === subject) {
      known.last_revision = revision;
      known.position = position;
    } else if (!known)
      rows.set(receipt, {
        receipt,
        subject,
        first_revision: revision,
        last_revision: revision,
        position,
      });
  }
  return rows;
}

export type Database = Kysely<unknown>;

/** Undefined where the read model has not come to it, or there is no such receipt in a person's stream. */
export async function placeOfReceipt(
  database: Database,
  receiptId: ReceiptId,
): Promise<ReceiptPlace | undefined> {
  const { rows } = await sql<Omit<Row, 'receipt' | 'position'>>`
    select subject, first_revision, last_revision
    from read_models.receipts where receipt = ${uuidOf(receiptId)}::uuid`.execute(database);
  const [row] = rows;
  return (
    row && {
      subjectId: `sub_${row.subject}` as SubjectId,
      firstRevision: row.first_revision,
      lastRevision: row.last_revision,
    }
  );
}

function uuidOf(id: string): string {
  return id.slice(id.indexOf('_') + 1);
}
