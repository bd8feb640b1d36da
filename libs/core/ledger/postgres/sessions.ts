import pg from 'pg';
import { RUNTIME_ROLE } from './runtime-role.sql.js';

/** Where the log is, and how long anything may take. All times in milliseconds. */
export interface Connecting {
  readonly connectionString: string;
  /** Until a connection is there, or one of the pool is free. */
  readonly connectTimeout: number;
  /** Until the server ends a statement. */
  readonly statementTimeout: number;
  /** Off only to show that a crash test notices; the server may promise more than `on`, never less. */
  readonly synchronousCommit?: 'off';
}

/** How much longer than the server we wait before a silent connection is given up. */
const SILENCE = 1_000;

/**
 * What every session relies on. Read committed: an append must see what was committed before its turn.
 * A plan is made once and kept, perhaps from a time when the log had five events and any plan was good.
 * Every query here asks for an order that one index has, so with everything else forbidden that index is
 * what it gets.
 */
export function settings({ statementTimeout, synchronousCommit }: Connecting): string {
  return [
    `set role ${RUNTIME_ROLE}`,
    `set statement_timeout = ${statementTimeout}`,
    `set default_transaction_isolation = 'read committed'`,
    `set time zone 'UTC'`,
    `set enable_seqscan = off`,
    `set enable_bitmapscan = off`,
    `set enable_hashjoin = off`,
    `set enable_mergejoin = off`,
    `set enable_sort = off`,
    `set enable_incremental_sort = off`,
    `set jit = off`,
    synchronousCommit === 'off'
      ? `set synchronous_commit = off`
      : `select set_config('synchronous_commit', 'on', false)
           where current_setting('synchronous_commit') in ('off', 'local')`,
  ].join(';');
}

function clientOptions(connecting: Connecting, name: string): pg.ClientConfig {
  return {
    connectionString: connecting.connectionString,
    application_name: `ledger ${name}`,
    connectionTimeoutMillis: connecting.connectTimeout,
    query_timeout: connecting.statementTimeout + SILENCE,
    keepAlive: true,
  };
}

/** Sessions for reading. A broken idle one is replaced; the next read finds out by itself. */
export function readingSessions(connecting: Connecting, max: number): pg.Pool {
  const pool = new pg.Pool({
    ...clientOptions(connecting, 'reader'),
    max,
    idleTimeoutMillis: 30_000,
    // The pool waits for what this returns, though its types do not say so.
    onConnect: ((client) => client.query(settings(connecting))) as (client: pg.ClientBase) => void,
  });
  pool.on('error', () => undefined);
  return pool;
}

/** One session of its own, ready for use. It tells of its end by the event `end`, and only by that. */
export async function openSession(connecting: Connecting, name: string): Promise<pg.Client> {
  const client = new pg.Client(clientOptions(connecting, name));
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(settings(connecting));
    return client;
  } catch (error) {
    discard(client);
    throw error;
  }
}

/** Gives a session up without waiting for the server, which may never answer. */
export function discard(session: pg.Client): void {
  session.end().catch(() => undefined);
  session.connection.stream.destroy();
}
