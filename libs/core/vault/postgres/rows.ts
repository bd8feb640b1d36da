import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import { codeOf } from '../durable-file.js';
import type { StoredKey } from '../export-file.js';
import type { KeyId } from '../port.js';
import { LOCKS } from './locks.js';

/** Key ids are uuids in the tables: half the size of their text. */
export const KEY_ID = (column: string): string => `replace(${column}::text, '-', '')`;
/** A moment in milliseconds, as text: independent of how the pool parses times. */
export const MOMENT = (column: string): string =>
  `(extract(epoch from ${column}) * 1000)::bigint::text`;

export function instantIn(milliseconds: string): Instant {
  return instantOf(Number(milliseconds));
}

export interface KeyRow {
  readonly owner: string;
  readonly compartment: string;
  readonly key_id: string;
  readonly epoch: number;
  readonly wrapped: Buffer;
}

export function storedKeyIn(row: KeyRow): StoredKey {
  const { owner, compartment, epoch, wrapped } = row;
  return { owner, compartment, keyId: row.key_id as KeyId, epoch, wrapped };
}

/** Deadlock and serialization failure: nothing happened, and the same statements can be given again. */
const AGAIN = new Set(['40P01', '40001']);

/** Runs `work` in a transaction of its own; again where the database ended it for a deadlock. */
export async function inTransaction<T>(
  client: pg.PoolClient,
  work: () => Promise<T>,
  begin = 'begin isolation level read committed',
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(begin);
      const result = await work();
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      if (!AGAIN.has(codeOf(error) ?? '') || attempt === 5) throw error;
    }
  }
}

/** A connection of one's own; closed rather than reused where `work` failed. */
export async function withClient<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let failed = true;
  // A connection that breaks between two statements tells so here; the next statement fails anyway.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  try {
    const result = await work(client);
    failed = false;
    return result;
  } finally {
    client.off('error', ignore);
    client.release(failed);
  }
}

/**
 * Runs `work` on a connection that holds an advisory lock. Asks again and again rather than waiting in the
 * database, where a statement's time is limited. The lock goes with the connection.
 */
export async function alone<T>(
  pool: pg.Pool,
  lock: number,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  return withClient(pool, async (client) => {
    const take = 'select pg_try_advisory_lock($1, $2) as taken';
    while (!(await client.query<{ taken: boolean }>(take, [LOCKS, lock])).rows[0]?.taken)
      await pause(50);
    const result = await work(client);
    await client.query('select pg_advisory_unlock($1, $2)', [LOCKS, lock]);
    return result;
  });
}

/** The rows of a query in pages and in flat memory, as of one moment. `client` must be in no transaction. */
export async function* rowsOf<Row extends pg.QueryResultRow>(
  client: pg.PoolClient,
  query: string,
  size = 5_000,
): AsyncGenerator<readonly Row[]> {
  await client.query('begin isolation level repeatable read read only');
  try {
    await client.query(`declare page cursor for ${query}`);
    for (;;) {
      const { rows } = await client.query<Row>(`fetch ${size} from page`);
      if (rows.length === 0) break;
      yield rows;
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
