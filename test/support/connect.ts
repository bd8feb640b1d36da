import { kyselyOn, openPool, RUNTIME_ROLE } from '#core/platform/database.js';

/** Sessions on a database as the ledger has them, whole or broken on purpose. */

export interface ConnectOptions {
  readonly asOwner?: boolean;
  readonly max?: number;
  /** Sees every statement before it is sent, may hold it back, and says what is sent in its place. */
  readonly intercept?: (statement: string) => string | Promise<string>;
}

export function connect(url: string, options: ConnectOptions = {}) {
  const pool = openPool({
    connectionString: url,
    applicationName: 'test',
    onError: () => undefined,
    max: options.max ?? 10,
    ...(options.asOwner ? {} : { role: RUNTIME_ROLE, plannedOnce: true }),
  });
  pool.on('connect', (client) => {
    // A session that ends between two statements of a transaction says so as an event, which ends the
    // process where nobody listens.
    client.on('error', () => undefined);
    if (options.intercept) interceptOn(client, options.intercept);
  });
  return kyselyOn<unknown>(pool);
}

function interceptOn(client: object, intercept: NonNullable<ConnectOptions['intercept']>): void {
  const session = client as { query(statement: string, values?: unknown[]): Promise<unknown> };
  const query = session.query.bind(session);
  session.query = async (statement, values) =>
    query(typeof statement === 'string' ? await intercept(statement) : statement, values);
}

/** The broken twin of an owner that is fenced: it writes whatever happened since it was given the lease. */
export function withoutFence(statement: string): string {
  return statement.replace(
    /\b(?:c\.epoch = (own\.epoch)|position = (\$\d+::bigint)(?=\s*returning))/g,
    '($1$2 is not null)',
  );
}

/** The broken twin of a transaction: every statement is committed by itself. */
export function withoutTransaction(statement: string): string {
  if (/^(begin|commit|rollback)/i.test(statement)) return 'select 1';
  // Settings of the transaction have to last without one.
  return statement.replaceAll(', true)', ', false)');
}
