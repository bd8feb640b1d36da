import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { Batch } from './batch.js';
import { RUNTIME_ROLE } from './database.js';
import type { Claim, IdempotencyStore, StoredResponse } from './http/idempotency.js';
import type { MigrationStep } from './migrate.js';

/** Seconds for which a claim keeps others out: longer than any call takes, or its process has died. */
const LEASE = 30;
const KEPT = '30 days';
/** Milliseconds between two tries to give a claim back. */
const AGAIN = 1_000;

export const idempotencyTable: readonly MigrationStep[] = [
  {
    name: '0001-idempotency',
    async up(db) {
      await sql`CREATE SCHEMA platform`.execute(db);
      // key and fingerprint are keyed digests; nothing in a row can be read back to a person.
      await sql`
        CREATE TABLE platform.idempotency (
          key bytea PRIMARY KEY,
          fingerprint bytea NOT NULL,
          lease uuid NOT NULL,
          leased_until timestamptz NOT NULL,
          created_at timestamptz NOT NULL,
          response text
        ) WITH (fillfactor = 70)`.execute(db);
      // For the purge alone, and rows lie in the order of their time: the smallest index there is.
      await sql`CREATE INDEX ON platform.idempotency USING brin (created_at)`.execute(db);
      await sql.raw(`GRANT USAGE ON SCHEMA platform TO ${RUNTIME_ROLE}`).execute(db);
      await sql
        .raw(`GRANT SELECT, INSERT, UPDATE, DELETE ON platform.idempotency TO ${RUNTIME_ROLE}`)
        .execute(db);
    },
  },
  {
    name: '0002-receipts-of-nothing',
    async up(db) {
      // A receipt without events is found nowhere else: no event tells of it.
      await sql`
        CREATE INDEX ON platform.idempotency ((response::jsonb -> 'body' ->> 'receiptId'))
        WHERE response LIKE '%"events":[]%'`.execute(db);
    },
  },
  {
    name: '0005-receipts-of-nothing-apart',
    async up(db) {
      // An index that looks at the answer has every answer make a new entry in all indexes of the table. So has
      // a full page: a claim takes a sixth of what its answer will.
      await sql`ALTER TABLE platform.idempotency SET (fillfactor = 15)`.execute(db);
      await sql`ALTER TABLE platform.idempotency ADD COLUMN receipt_of_nothing text`.execute(db);
      await sql`
        UPDATE platform.idempotency
        SET receipt_of_nothing = response::jsonb -> 'body' ->> 'receiptId'
        WHERE response LIKE '%"events":[]%'`.execute(db);
      await sql`DROP INDEX platform.idempotency_expr_idx`.execute(db);
      await sql`
        CREATE INDEX ON platform.idempotency (receipt_of_nothing)
        WHERE receipt_of_nothing IS NOT NULL`.execute(db);
    },
  },
];

interface Asked {
  readonly kind: 'claim';
  readonly key: Buffer;
  readonly fingerprint: Buffer;
  readonly lease: string;
}

interface Answered {
  readonly kind: 'answer';
  readonly key: Buffer;
  readonly lease: string;
  readonly response: string;
  /** The receipt, where it is one of an answer without events. */
  readonly receiptOfNothing: string | undefined;
}

interface Released {
  readonly kind: 'release';
  readonly key: Buffer;
  readonly lease: string;
}

/**
 * The idempotency store in PostgreSQL. Its commits do not wait for the disk (`synchronous_commit = off`, for
 * this statement's transaction only): what a crash of the database may lose here is the last fraction of a
 * second of claims and answers, and a retry is then decided again and finds its receipt in the stream.
 * Concurrent claims and answers of a process travel together.
 */
export class PostgresIdempotencyStore implements IdempotencyStore {
  private readonly travelling: Batch<Asked | Answered, boolean>;
  private readonly released: Batch<Released, void>;

  constructor(private readonly db: Kysely<unknown>) {
    const keyOf = ({ key }: { readonly key: Buffer }) => key.toString('latin1');
    this.travelling = new Batch<Asked | Answered, boolean>((calls) => this.write(calls), keyOf);
    // Apart: two processes that claim what the other gives back in the same statement would wait for each other.
    this.released = new Batch<Released, void>((released) => this.delete(released), keyOf);
  }

  async claim(key: Uint8Array, fingerprint: Uint8Array): Promise<Claim> {
    const asked: Asked = {
      kind: 'claim',
      key: Buffer.from(key),
      fingerprint: Buffer.from(fingerprint),
      lease: randomUUID(),
    };
    for (;;) {
      if (await this.orGiveBack(asked, this.travelling.add(asked)))
        return { kind: 'claimed', lease: asked.lease };
      const claim = await this.known(asked);
      // Undefined: it was released or purged between the two statements.
      if (claim) return claim;
    }
  }

  async complete(key: Uint8Array, lease: string, response: StoredResponse): Promise<void> {
    const done: Answered = {
      kind: 'answer',
      key: Buffer.from(key),
      lease,
      response: JSON.stringify(response),
      receiptOfNothing: receiptOfNothingIn(response),
    };
    await this.orGiveBack(done, this.travelling.add(done));
  }

  async release(key: Uint8Array, lease: string): Promise<void> {
    const done: Released = { kind: 'release', key: Buffer.from(key), lease };
    await this.orGiveBack(done, this.released.add(done));
  }

  /**
   * Where the database was away, the claim may be there or not, and would keep its caller out for as long as it
   * lasts: it is given back as soon as that can be said. A repetition then finds in the stream what was recorded.
   */
  private async orGiveBack<T>(
    { key, lease }: Pick<Released, 'key' | 'lease'>,
    done: Promise<T>,
  ): Promise<T> {
    try {
      return await done;
    } catch (error) {
      void this.giveBack({ kind: 'release', key, lease });
      throw error;
    }
  }

  private async giveBack(released: Released): Promise<void> {
    for (const until = performance.now() + LEASE * 1_000; performance.now() < until;) {
      await sleep(AGAIN, undefined, { ref: false });
      try {
        return await this.released.add(released);
      } catch {
        // Until the lease ends by itself.
      }
    }
  }

  /** The answer that holds this receipt, where it was for something already on record: its events are none. */
  async receiptOfNothing(receiptId: string): Promise<unknown> {
    const { rows } = await sql<{ body: unknown }>`
      SELECT response::jsonb -> 'body' AS body FROM platform.idempotency
      WHERE receipt_of_nothing = ${receiptId}`.execute(this.db);
    return rows[0]?.body;
  }

  /** Forgets what is older than 30 days, a part at a time; returns how many. To be run daily or so. */
  async purge(): Promise<number> {
    for (let total = 0; ;) {
      const { numAffectedRows = 0n } = await sql`
        DELETE FROM platform.idempotency WHERE key IN (
          SELECT key FROM platform.idempotency
          WHERE created_at < now() - ${sql.lit(KEPT)}::interval LIMIT 5000
        )`.execute(this.db);
      total += Number(numAffectedRows);
      if (numAffectedRows < 5000n) return total;
    }
  }

  /** Of a claim, whether its key was free and is now taken. All processes take keys in the same order. */
  private async write(calls: readonly (Asked | Answered)[]): Promise<readonly boolean[]> {
    const asked = calls.filter((call): call is Asked => call.kind === 'claim');
    const done = calls.filter((call): call is Answered => call.kind === 'answer');
    const { rows } = await sql<{ lease: string }>`
      WITH answered AS (
        UPDATE platform.idempotency AS kept
        SET response = done.response, receipt_of_nothing = done.nothing
        FROM unnest(
          ${done.map(({ key }) => key)}::bytea[],
          ${done.map(({ lease }) => lease)}::uuid[],
          ${done.map(({ response }) => response)}::text[],
          ${done.map(({ receiptOfNothing }) => receiptOfNothing)}::text[]
        ) AS done (key, lease, response, nothing), ${DEFERRED}
        WHERE kept.key = done.key AND kept.lease = done.lease
      )
      INSERT INTO platform.idempotency (key, fingerprint, lease, leased_until, created_at)
      SELECT key, fingerprint, lease, now() + ${sql.lit(`${LEASE} s`)}::interval, now()
      FROM unnest(
        ${asked.map(({ key }) => key)}::bytea[],
        ${asked.map(({ fingerprint }) => fingerprint)}::bytea[],
        ${asked.map(({ lease }) => lease)}::uuid[]
      ) AS asked (key, fingerprint, lease), ${DEFERRED}
      ORDER BY key
      ON CONFLICT (key) DO NOTHING
      RETURNING lease`.execute(this.db);
    const taken = new Set(rows.map(({ lease }) => lease));
    return calls.map(({ lease }) => taken.has(lease));
  }

  /** What a key that is not free stands for; takes it over where its time, or its holder's, has ended. */
  private async known({ key, fingerprint, lease }: Asked): Promise<Claim | undefined> {
    const taken = await sql`
      UPDATE platform.idempotency
      SET fingerprint = ${fingerprint}, lease = ${lease}, created_at = now(),
          response = NULL, receipt_of_nothing = NULL,
          leased_until = now() + ${sql.lit(`${LEASE} s`)}::interval
      WHERE key = ${key} AND (
        created_at < now() - ${sql.lit(KEPT)}::interval
        OR (response IS NULL AND leased_until < now() AND fingerprint = ${fingerprint})
      )`.execute(this.db);
    if (taken.numAffectedRows === 1n) return { kind: 'claimed', lease };
    const { rows } = await sql<{ same: boolean; response: string | null }>`
      SELECT fingerprint = ${fingerprint} AS same, response
      FROM platform.idempotency WHERE key = ${key}`.execute(this.db);
    const [row] = rows;
    if (!row) return undefined;
    if (!row.same) return { kind: 'reused' };
    if (row.response === null) return { kind: 'in-flight' };
    return { kind: 'done', response: JSON.parse(row.response) as StoredResponse };
  }

  private async delete(released: readonly Released[]): Promise<readonly void[]> {
    await sql`
      DELETE FROM platform.idempotency AS kept
      USING unnest(
        ${released.map(({ key }) => key)}::bytea[],
        ${released.map(({ lease }) => lease)}::uuid[]
      ) AS done (key, lease), ${DEFERRED}
      WHERE kept.key = done.key AND kept.lease = done.lease`.execute(this.db);
    return released.map(() => undefined);
  }
}

/** A receipt without events is found nowhere else: no event tells of it. */
function receiptOfNothingIn({ body }: StoredResponse): string | undefined {
  const { receiptId, events } = (body ?? {}) as { receiptId?: unknown; events?: unknown };
  const isOfNothing = Array.isArray(events) && events.length === 0;
  return isOfNothing && typeof receiptId === 'string' ? receiptId : undefined;
}

/** Evaluated once by the statement that joins it, and in force until that statement's transaction has committed. */
const DEFERRED = sql`(SELECT set_config('synchronous_commit', 'off', true)) AS deferred`;
