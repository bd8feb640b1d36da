import { types } from 'node:util';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { Session, Silence } from './silence.js';

/**
 * The role that every session of a running ledger takes. It may append events and not change them;
 * `migrate` creates it and each migration grants it what its part needs.
 */
export const RUNTIME_ROLE = 'ledger_runtime';

export interface PoolOptions {
  readonly connectionString: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Undefined: the owner's own rights, for migrations only. */
  readonly role?: typeof RUNTIME_ROLE;
  readonly max?: number;
  /** Milliseconds after which the database ends a statement; 0 for jobs that may take their time. */
  readonly statementTimeout?: number;
  /**
   * Each session plans a statement once, and by index: such a plan is as good when the table has grown. For pools that
   * are asked the same few things over and over, and find few rows.
   */
  readonly plannedOnce?: boolean;
  /** Called for the failure of an idle connection. The pool replaces it; without a listener the process would end. */
  readonly onError: (error: Error) => void;
}

/**
 * Milliseconds that a transaction may wait for its next statement: should its process be gone without a word, what it
 * has locked is free after that.
 */
const IDLE_IN_TRANSACTION = 10_000;

/**
 * A plan that is kept may be from a time when a table had five rows and any plan was good. The joins that are left read
 * one row after the other, and where there is an index they have to use it.
 */
const BY_INDEX = [
  'SET plan_cache_mode = force_generic_plan',
  'SET enable_seqscan = off',
  'SET enable_hashjoin = off',
  'SET enable_mergejoin = off',
  'SET jit = off',
];

/** A session that has each statement planned once; one without values has no plan worth keeping. */
class PlanningSession extends Session {
  private readonly ask = this.query;

  override query = ((...asked: Parameters<pg.Client['query']>) => {
    const [text, values, ...more] = asked as unknown as [unknown, unknown, ...unknown[]];
    return typeof text === 'string' && Array.isArray(values) && values.length > 0
      ? this.ask({ name: nameOf(text), text, values: values as unknown[] }, ...(more as []))
      : this.ask(...asked);
  }) as pg.Client['query'];
}

const names = new Map<string, string>();

/** By which sessions know a statement. */
function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) names.set(text, (name = `planned_${names.size}`));
  return name;
}

/**
 * A pool whose sessions all have the role, the timeouts and the time zone that the ledger relies on. A
 * session that can not be set up so is not used: its caller gets the error; one that the database does not
 * answer any more is ended. int8 stays a string, as pg gives it: positions have up to 19 digits.
 */
export function openPool(options: PoolOptions): pg.Pool {
  const { connectionString, role, statementTimeout = 30_000, plannedOnce = false } = options;
  const silence = new Silence(connectionString);
  const pool = new pg.Pool({
    connectionString,
    Client: plannedOnce ? PlanningSession : Session,
    application_name: options.applicationName,
    max: options.max ?? 10,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    // As statements rather than start-up parameters: connection poolers refuse some of those.
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- the pool waits for it; its types do not say so
    onConnect: async (client) => {
      silence.watch(client as Session);
      await client.query(
        [
          ...(role === undefined ? [] : [`SET ROLE ${role}`]),
          `SET statement_timeout = ${statementTimeout}`,
          `SET idle_in_transaction_session_timeout = ${statementTimeout === 0 ? 0 : IDLE_IN_TRANSACTION}`,
          `SET TIME ZONE 'UTC'`,
          ...(plannedOnce ? BY_INDEX : []),
        ].join(';'),
      );
    },
  });
  pool.on('error', options.onError);
  // Also one that ends while somebody holds it, between two statements: without a listener the process would end.
  pool.on('connect', (client) => client.on('error', options.onError));
  return pool;
}

/** Typed queries over a pool. Destroying it ends the pool. */
export function kyselyOn<Schema>(pool: pg.Pool): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
]);

// What pg throws without a code.
const UNREACHABLE_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client has encountered a connection error)/;

/**
 * Whether an error says that the database can not be used now and the same call may succeed later: it can
 * not be reached, is starting or stopping, has no connection, memory or disk left, or took too long.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!types.isNativeError(error)) return false;
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code !== 'string') return UNREACHABLE_MESSAGES.test(error.message);
  // A missing socket only where it comes from connect(): a missing file is a fault of ours.
  if (code === 'ENOENT') return syscall === 'connect';
  // Classes: 08 connection, 53 resources, 57 operator intervention, 58 system, 25006 read-only (a standby).
  return UNREACHABLE.has(code) || /^(08|53|57|58)[0-9A-Z]{3}$/.test(code) || code === '25006';
}
