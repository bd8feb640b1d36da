import { type Kysely, sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, type SubjectId } from '#core/kernel/ids.js';
import type { Projection, ProjectionContext } from '#core/projector/projection.js';
import type { ErasureRequested } from '../domain/erasure.events.js';

/** Whose erasure an operation is. How far it has come stands in the person's stream. */
export class OperationsProjection implements Projection {
  readonly name = 'operations';
  readonly version = 1;
  readonly categories = ['subject'];
  /** A row for each erasure: its work is to read past everything else, which parts would only repeat. */
  readonly partitions = 1;

  concerns({ type }: Recorded): boolean {
    return type === 'ErasureRequested';
  }

  async create(tx: Transaction<unknown>): Promise<void> {
    await sql`create table operations (
      operation_id text collate "C" primary key, subject text collate "C" not null)`.execute(tx);
  }

  async apply(batch: readonly Recorded[], { tx }: ProjectionContext): Promise<void> {
    const requests = batch.filter(
      (event): event is Recorded<ErasureRequested> => event.type === 'ErasureRequested',
    );
    if (requests.length === 0) return;
    await sql`insert into operations select * from unnest(
      ${requests.map(({ data }) => data.operationId)}::text[],
      ${requests.map(({ stream }) => ownerOf(stream))}::text[])`.execute(tx);
  }
}

export type Database = Kysely<unknown>;

export async function subjectOfOperation(
  database: Database,
  operationId: string,
): Promise<SubjectId | undefined> {
  const { rows } = await sql<{ subject: SubjectId }>`
    select subject from read_models.operations where operation_id = ${operationId}`.execute(
    database,
  );
  return rows[0]?.subject;
}
